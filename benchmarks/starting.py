"""What the server takes before anyone asks it anything: from the command to the first answer, and what it imports."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures import Target
from benchmarks.measuring import Report
from benchmarks.processes import cpu_ns, tree
from benchmarks.servers import environment, running, settings

FIRST_ANSWER = Target(2.0, 1.5)
IMPORT = Target(0.4)
PARTS = {
    "Python alone": "",
    "import llm_backend": "import llm_backend",
    "the settings": "import llm_backend.settings",
    "Connexion": "from connexion.apps.asynchronous import AsyncApp",
    "aiohttp": "import aiohttp",
    "SQLAlchemy": "import sqlalchemy.ext.asyncio",
    "jsonschema-rs": "import jsonschema_rs",
    "import llm_backend.app": "import llm_backend.app",
    "the contract, merged": """
from llm_backend.contract.documents import merge
from llm_backend.resources import resource
merge(resource("spec"))""",
    "the application": """
from llm_backend.app import create_app
from llm_backend.settings import load_settings
app = create_app(load_settings())""",
}
"""Each is run in a fresh process, Python's own share included: what two of them share is counted in both."""
MEASURE = """
import json, time
begun = time.process_time()
{code}
took = time.process_time() - begun
with open("/proc/self/status") as status:
    (line,) = (line for line in status if line.startswith("VmRSS"))
print(json.dumps([took, int(line.split()[1])]))
"""


def measure(folder: Path, upstream_url: str, rounds: int, report: Report, parts: Mapping[str, str] = PARTS) -> None:
    firsts, seconds = [], []
    for number in range(rounds):
        sys.stderr.write(f"starts, round {number + 1} of {rounds}\n")
        home = folder / f"start-{number}"
        firsts.append(_started(home, upstream_url))
        seconds.append(_started(home, upstream_url))
    for what, starts in (("first start", firsts), ("second start", seconds)):
        waits, cpu = zip(*starts, strict=True)
        report.add(f"{what}, until it answers", "llm-backend, SQLite", "s", waits, FIRST_ANSWER)
        report.add(f"{what}, CPU until it answers", "llm-backend, SQLite", "s", cpu)
    for name, code in parts.items():
        took, held = zip(*(_imported(folder, code) for _ in range(rounds)), strict=True)
        target = IMPORT if name == "import llm_backend" else None
        report.add("CPU to load", name, "s", took, target)
        report.add("resident memory", name, "MB", held)


def _started(home: Path, upstream_url: str) -> tuple[float, float]:
    """The seconds from the command to the first answer, and the seconds of CPU in them.

    On the first start the folder is empty: the database is made in that time.
    """
    begun = time.perf_counter()
    command = ("llm_backend", "serve", "--port", "0")
    with running(home, *command, variables=settings(upstream_url)) as (process, url):
        with urllib.request.urlopen(f"{url}/readyz") as answer:  # noqa: S310 (the server just started)
            answer.read()
        waited = time.perf_counter() - begun
        cpu = sum(cpu_ns(tree(process.pid)).values()) / 1_000_000_000
    return waited, cpu


def _imported(folder: Path, code: str) -> tuple[float, float]:
    """The seconds of CPU that `code` takes in a process of its own, and the megabytes that it then holds."""
    done = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, "-c", MEASURE.format(code=code)],
        cwd=folder, env=environment(), check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    took, kib = json.loads(done.stdout)
    return took, kib * 1024 / 1_000_000
