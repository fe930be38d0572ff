from llm_backend.upstream.headers import passed_down, passed_up


def test_only_the_listed_headers_of_a_client_go_up() -> None:
    client = {
        "Accept": "*/*",
        "openai-beta": "assistants=v2",
        "x-client-request-id": "r1",
        "X-Stainless-Lang": "python",
        "user-agent": "sdk/1",
        "authorization": "Bearer secret",
        "cookie": "a=b",
        "openai-organization": "org-1",
        "openai-project": "proj-1",
        "x-forwarded-for": "10.0.0.1",
        "forwarded": "for=10.0.0.1",
        "host": "here",
    }

    assert passed_up(client) == {
        "accept": "*/*",
        "openai-beta": "assistants=v2",
        "x-client-request-id": "r1",
        "x-stainless-lang": "python",
        "user-agent": "sdk/1",
    }


def test_only_the_listed_headers_of_an_upstream_come_down() -> None:
    kept = {
        "content-type": "application/json",
        "openai-processing-ms": "12",
        "openai-version": "2020-10-01",
        "retry-after": "3",
        "retry-after-ms": "2500",
        "x-ratelimit-remaining-tokens": "9",
        "content-disposition": 'attachment; filename="a"',
    }
    dropped = {"set-cookie": "a=b", "server": "x", "location": "/y", "connection": "close", "transfer-encoding": "z"}

    assert passed_down({**kept, **dropped}) == kept


def test_a_value_that_could_break_a_line_passes_neither_way() -> None:
    assert passed_up({"user-agent": "a\r\nx: y", "accept": "a\x00"}) == {}
    assert passed_down({"content-type": "a\r\nset-cookie: b", "x-ratelimit-\nx": "1"}) == {}
    assert passed_down({"content-disposition": "inline; filename=日本"}) == {}
