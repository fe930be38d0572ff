"""Further keys of an account: `python -m benchmarks.keys ACCOUNT NUMBER` prints them as JSON.

The command line makes one at a time; this makes as many as are wanted, in the database that the environment names.
"""

import asyncio
import json
import sys

from llm_backend.cli.opening import OPERATOR, opened


async def _made(account: str, number: int) -> list[str]:
    async with opened() as parts:
        found = await parts.accounts.find(account)
        return [(await parts.keys.create(found.id, f"key {each}", by=OPERATOR)).text for each in range(number)]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_made(sys.argv[1], int(sys.argv[2])))))
