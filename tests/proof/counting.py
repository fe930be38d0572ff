"""What requests cost in calls, and what they may: the figures beside this file, by version of Python.

`make calls` counts anew and writes the figures of the Python that runs it.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.proof.counted_server import Counted
from tests.whole.standing import ADMIN_TOKEN, SECRET_KEY, environment

ROOT = Path(__file__).parents[2]
FIGURES = Path(__file__).with_name("calls_per_request.json")
VERSION = "{}.{}".format(*sys.version_info)
SLACK_PERCENT = 10


def counted() -> list[Counted]:
    """What each step costs now, then what it costs with calls planted. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        variables = environment(
            LLM_BACKEND_HOME=folder,
            DATABASE_URL=f"sqlite:///{folder}/llm-backend.db",
            SECRET_KEY=SECRET_KEY,
            ADMIN_TOKEN=ADMIN_TOKEN,
            OPENAI_API_KEY="of-nobody",
            UPSTREAM_ALLOW_HTTP="yes",
            PYTHONHASHSEED="0",
        )
        # Coverage would be one more that is called.
        uncovered = {name: value for name, value in variables.items() if not name.startswith("COVERAGE_")}
        done = subprocess.run(
            [sys.executable, "-m", "tests.proof.counted_server"],
            env=uncovered,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    shown: list[Counted] = json.loads(done.stdout)
    return shown


def committed() -> Counted | None:
    """What each step may cost by the figures; None where there are none for this Python."""
    figures: dict[str, Counted] = json.loads(FIGURES.read_text())
    return figures.get(VERSION)


def complaints(now: Counted, figures: Counted) -> list[str]:
    """What costs a tenth more than its figure, and what a tenth less: there the figure would let a tenth creep back."""
    wrong = [f"{step}: no figure, or no such step" for step in sorted(now.keys() ^ figures.keys())]
    for step in now.keys() & figures.keys():
        calls, figure = now[step], figures[step]
        if calls * 100 > figure * (100 + SLACK_PERCENT):
            wrong.append(f"{step}: {calls} calls, more than {SLACK_PERCENT} % above {figure}")
        if calls * 100 < figure * (100 - SLACK_PERCENT):
            wrong.append(f"{step}: {calls} calls, more than {SLACK_PERCENT} % below {figure}: `make calls` lowers it")
    return wrong


def main() -> None:
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures[VERSION], _ = counted()
    FIGURES.write_text(json.dumps(dict(sorted(figures.items())), indent=2) + "\n")
    sys.stdout.write(json.dumps(figures[VERSION], indent=2) + "\n")


if __name__ == "__main__":
    main()
