"""A client that leaves its stream after two words; told a base URL and a key, it prints them as a JSON list."""

import json
import sys

from openai import OpenAI


def main(base_url: str, key: str) -> None:
    with OpenAI(base_url=base_url, api_key=key) as sdk:
        stream = sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True)
        words = [next(stream).choices[0].delta.content for _ in range(2)]
        stream.close()
    json.dump(words, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
