"""One chat; told a base URL and a key, it prints the answer and how often the SDK tried again."""

import json
import sys

from openai import OpenAI


def main(base_url: str, key: str) -> None:
    with OpenAI(base_url=base_url, api_key=key) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    json.dump([raw.parse().choices[0].message.content, raw.retries_taken], sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
