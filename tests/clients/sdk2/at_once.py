"""Thirty streams of one asynchronous client; told a base URL and a key, it prints what they said as a JSON list."""

import asyncio
import json
import sys

from openai import AsyncOpenAI


async def said(sdk: AsyncOpenAI, number: int) -> str:
    text = " ".join([f"word{number}"] * 10)
    stream = await sdk.chat.completions.create(model="echo", messages=[{"role": "user", "content": text}], stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def main(base_url: str, key: str) -> None:
    async with AsyncOpenAI(base_url=base_url, api_key=key) as sdk:
        json.dump(await asyncio.gather(*(said(sdk, number) for number in range(30))), sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
