"""What the server takes before anyone asks it anything: `python benchmarks/footprint.py` prints it as JSON.

Each part is measured in a fresh process; sizes are resident KiB (Linux), times milliseconds. Prints, never fails.
"""  # noqa: INP001 (a folder of scripts, no package)

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PARTS = {
    "python": "",
    "settings": "import llm_backend.settings",
    "connexion": "from connexion.apps.asynchronous import AsyncApp",
    "aiohttp": "import aiohttp",
    "sqlalchemy": "import sqlalchemy.ext.asyncio",
    "alembic": "import alembic.command",
    "jsonschema_rs": "import jsonschema_rs",
    "imports": "import llm_backend.app",
    "merge": """
from llm_backend.contract.documents import merge
from llm_backend.resources import resource
merge(resource("spec"))""",
    "validators": """
from llm_backend.contract.documents import merge
from llm_backend.contract.validation import validator_map
from llm_backend.resources import resource
validators = validator_map(merge(resource("spec")))""",
    "app": """
from llm_backend.app import create_app
from llm_backend.settings import load_settings
app = create_app(load_settings())""",
}
MEASURE = """
import json, time
begun = time.perf_counter()
{code}
took = time.perf_counter() - begun
with open("/proc/self/status") as status:
    (line,) = (line for line in status if line.startswith("VmRSS"))
print(json.dumps({{"kib": int(line.split()[1]), "ms": round(took * 1000)}}))
"""
LISTENING = re.compile(rb"Uvicorn running on (http://[^ ]+)")


def measured(code: str, folder: str, environment: dict[str, str]) -> dict[str, int]:
    """The memory of a process that has run `code`, and how long that took."""
    done = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, "-c", MEASURE.format(code=code)], cwd=folder, env=environment, check=True, capture_output=True
    )
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


def served(folder: str, environment: dict[str, str]) -> dict[str, int]:
    """From the command to the first answer, and the memory of the server that waits."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "llm_backend", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE) as process:  # noqa: S603 (our own command)
        assert process.stderr
        found = next(filter(None, map(LISTENING.search, process.stderr)))
        with urllib.request.urlopen(f"{found[1].decode()}/readyz") as answer:  # noqa: S310 (the server just started)
            answer.read()
        took = time.perf_counter() - begun
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.terminate()
        process.stderr.read()
    return {"kib": int(status.partition("VmRSS:")[2].split()[0]), "ms": round(took * 1000)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ["PATH"]}
        figures = {name: measured(code, folder, environment) for name, code in PARTS.items()}
        figures["first_start"] = served(folder, environment)
        figures["start"] = served(folder, environment)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
