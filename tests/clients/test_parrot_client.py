"""The library of those who come from Parrot, and their scripts, work unchanged."""

import json
import sys
from pathlib import Path

from tests.clients.processes import finished
from tests.handlers.administering import administering
from tests.serving import Running

ROOT = Path(__file__).parents[2]


async def test_a_student_asks_lists_reads_and_is_warned(running: Running) -> None:
    async with administering(running) as admin:
        account = await admin.account("student", budget=24)

    done = await finished(
        sys.executable,
        "-m",
        "tests.clients.parrot_script",
        cwd=ROOT,
        PARROT_API_BASE=running.root,
        PARROT_API_KEY=account["api_key"],
    )

    assert (done.code, done.err) == (0, "")
    said = json.loads(done.out)
    assert said["listed"] == [
        ["homework", "chat_completion", "My request: "],
        ["essay", "text_completion", "Q: "],
    ]
    assert said["found"] == [True]
    assert said["said"] == [
        ["system", "Be brief"],
        ["user", "one two three four five"],
        ["assistant", "one two three four five"],
        ["user", "more"],
        ["assistant", "more"],
    ]
    usage = {"prompt_tokens": 13, "completion_tokens": 1, "total_tokens": 14}
    assert said["answers"] == ["one two three four five", "Q: one\nA:", usage, 0.2]
    assert said["warnings"] == ["Most of the budget is used."]
    assert said["refused"] == ["'model_args.temperature' must be at most 2.", "Account has reached its budget"]
    assert said["budget"] == {"usage": 32, "limit": 24}
