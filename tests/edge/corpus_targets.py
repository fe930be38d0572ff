"""Paths, methods and versions that servers have been known to get wrong."""

from tests.edge.seeds import JSON, get, head, post, seeds

PATHS_GOOD = seeds(
    {200},
    False,
    slash_encoded=get("/v1/models/a%2Fb"),
    slash_plain=get("/v1/models/a/b"),
    root=get("/models"),
    root_with_query=get("/models?limit=1"),
    double_encoded=get("/v1/models/%252e%252e%252fa"),
    unicode=get("/v1/models/%C3%A9"),
    question_encoded=get("/v1/models/a%3Fb"),
    fragment_encoded=get("/v1/models/a%23b"),
)

PATHS_BAD = seeds(
    {404},
    False,
    unknown=get("/v1/nothing"),
    top=get("/"),
    base=get("/v1"),
    the_server_itself=head("OPTIONS * HTTP/1.1"),
    dots=get("/v1/models/../models"),
    dots_encoded=get("/v1/models/%2e%2e/models"),
    dots_slash_encoded=get("/v1/models/..%2fmodels"),
    dots_at_the_end=get("/v1/models/.."),
    one_dot=get("/v1/./models"),
    nul=get("/v1/models/a%00b"),
    newline=get("/v1/models/a%0d%0aX-A:%20b"),
    two_slashes=get("/v1//models"),
    two_slashes_first=get("//v1/models"),
    two_slashes_encoded=get("/v1/models/a%2f%2fb"),
    host_like=get("//there/v1/models"),
    overlong=get("/v1/models/%c0%ae%c0%ae"),
    overlong_slash=get("/v1%c0%afmodels"),
    not_utf8=get("/v1/models/%ff"),
    surrogate=get("/v1/models/%ed%a0%80"),
    backslash=get("/v1/models/..%5cmodels"),
    trailing_slash=get("/v1/models/"),
    trailing_slash_encoded=get("/v1/models%2f"),
    v1_twice=get("/v1/v1/models"),
    v1_in_capitals=get("/V1/models"),
    openapi_of_the_framework=get("/openapi.json"),
    absolute_uri_encoded=get("/http%3a%2f%2fthere/v1/models"),
)

METHODS = seeds(
    {405},
    False,
    delete=head("DELETE /v1/models HTTP/1.1"),
    put=head("PUT /v1/models HTTP/1.1"),
    patch=head("PATCH /v1/models HTTP/1.1"),
    trace=head("TRACE /v1/models HTTP/1.1"),
    options=head("OPTIONS /v1/models HTTP/1.1"),
    head=head("HEAD /v1/models HTTP/1.1"),
    propfind=head("PROPFIND /v1/models HTTP/1.1"),
    get_of_a_post=head("GET /v1/chat/completions HTTP/1.1"),
)

METHODS_ODD = seeds(
    {400, 405},
    False,
    unknown=head("BREW /v1/models HTTP/1.1"),
    lower_case=head("get /v1/models HTTP/1.1"),
    connect=head("CONNECT there:443 HTTP/1.1"),
    very_long=head("X" * 100 + " /v1/models HTTP/1.1"),
)

VERSIONS = seeds(
    {200},
    False,
    expects_100=post(JSON, "Expect: 100-continue"),
    h2c_upgrade=head(
        "GET /v1/models HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: A"
    ),
    websocket_upgrade=head("GET /v1/models HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"),
    empty_line_first=b"\r\n" + head("GET /v1/models HTTP/1.1"),
    ipv6_host=head("GET /v1/models HTTP/1.1", "Host: [::1]:8000", host=False),
    underscore_host=head("GET /v1/models HTTP/1.1", "Host: llm_backend:8080", host=False),
)

VERSIONS_CLOSING = seeds(
    {200},
    True,
    http_1_0=head("GET /v1/models HTTP/1.0"),
    http_1_0_without_host=head("GET /v1/models HTTP/1.0", host=False),
    http_1_0_with_body=head("POST /v1/models HTTP/1.0", JSON, "Content-Length: 2") + b"{}",
    http_1_0_of_unknown_length=head("GET /v1/stream HTTP/1.0"),
    close_asked=head("GET /v1/models HTTP/1.1", "Connection: close"),
)
