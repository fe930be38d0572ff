"""Raw requests that servers have been known to get wrong, and what this one has to answer."""

from tests.edge import corpus_targets as targets
from tests.edge.seeds import CHUNKED, JSON, SMUGGLED, Seed, chunks, get, head, post, seeds
from tests.edge.small_app import BODY_LIMIT

SMUGGLING = seeds(
    {400},
    True,
    length_and_chunked=post(JSON, CHUNKED, "Content-Length: 4", body=b"0\r\n\r\n" + SMUGGLED, length=False),
    chunked_and_length=post(JSON, "Content-Length: 5", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED, length=False),
    two_lengths=post(JSON, "Content-Length: 2", "Content-Length: 40", body=b"{}" + SMUGGLED, length=False),
    two_equal_lengths=post(JSON, "Content-Length: 2", "Content-Length: 2", length=False),
    length_list=post(JSON, "Content-Length: 2, 2", length=False),
    length_plus=post(JSON, "Content-Length: +2", length=False),
    length_minus=post(JSON, "Content-Length: -2", length=False),
    length_hex=post(JSON, "Content-Length: 0x2", length=False),
    length_float=post(JSON, "Content-Length: 2.0", length=False),
    length_empty=post(JSON, "Content-Length:", length=False),
    length_word=post(JSON, "Content-Length: two", length=False),
    length_underscore=post(JSON, "Content-Length: 0_2", length=False),
    length_beyond_64_bits=post(JSON, "Content-Length: 99999999999999999999999", length=False),
    coding_twice=post(JSON, CHUNKED, CHUNKED, body=b"0\r\n\r\n", length=False),
    coding_identity_and_chunked=post(JSON, "Transfer-Encoding: identity", CHUNKED, body=b"0\r\n\r\n", length=False),
    coding_gzip_chunked=post(JSON, "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n", length=False),
    coding_chunked_gzip=post(JSON, "Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n", length=False),
    coding_unknown=post(JSON, "Transfer-Encoding: xchunked", body=b"0\r\n\r\n", length=False),
    coding_quoted=post(JSON, 'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n", length=False),
    coding_tabbed=post(JSON, "Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n", length=False),
    coding_space_before_colon=post(JSON, "Transfer-Encoding : chunked", body=b"0\r\n\r\n", length=False),
    length_space_before_colon=post(JSON, "Content-Length : 2", length=False),
    coding_in_http_1_0=head("POST /v1/models HTTP/1.0", JSON, CHUNKED) + b"0\r\n\r\n",
    body_behind_length_zero=post(JSON, "Content-Length: 0", "Content-Length: 33", body=SMUGGLED, length=False),
)

HEADS = seeds(
    {400},
    True,
    folded=head("GET /v1/models HTTP/1.1", "X-A: one", " two"),
    folded_by_tab=head("GET /v1/models HTTP/1.1", "X-A: one", "\ttwo"),
    folded_first=b"GET /v1/models HTTP/1.1\r\n Host: here\r\n\r\n",
    nul_in_value=head("GET /v1/models HTTP/1.1", "X-A: a\x00b"),
    nul_in_name=head("GET /v1/models HTTP/1.1", "X\x00A: a"),
    bare_cr_in_value=head("GET /v1/models HTTP/1.1", "X-A: a\rX-B: b"),
    bare_lf_in_value=head("GET /v1/models HTTP/1.1", "X-A: a\nX-B: b"),
    bare_lf_everywhere=b"GET /v1/models HTTP/1.1\nHost: here\n\n",
    space_in_name=head("GET /v1/models HTTP/1.1", "X A: b"),
    no_colon=head("GET /v1/models HTTP/1.1", "X-A"),
    empty_name=head("GET /v1/models HTTP/1.1", ": a"),
    control_in_value=head("GET /v1/models HTTP/1.1", "X-A: \x01"),
    no_host=head("GET /v1/models HTTP/1.1", host=False),
    two_hosts=head("GET /v1/models HTTP/1.1", "Host: there"),
    host_empty=head("GET /v1/models HTTP/1.1", "Host:", host=False),
    host_with_path=head("GET /v1/models HTTP/1.1", "Host: here/there", host=False),
    host_with_user=head("GET /v1/models HTTP/1.1", "Host: me@here", host=False),
    host_list=head("GET /v1/models HTTP/1.1", "Host: here, there", host=False),
    host_with_space=head("GET /v1/models HTTP/1.1", "Host: he re", host=False),
    host_port_word=head("GET /v1/models HTTP/1.1", "Host: here:http", host=False),
    host_non_ascii=head("GET /v1/models HTTP/1.1", "Host: h\xe9re", host=False),
    two_keys=head("GET /v1/models HTTP/1.1", "Authorization: Bearer a", "Authorization: Bearer b"),
    two_types=post(JSON, "Content-Type: text/plain"),
    absolute_form=head("GET http://there/v1/models HTTP/1.1"),
    absolute_form_https=head("GET https://here/v1/models HTTP/1.1"),
    no_slash=head("GET v1/models HTTP/1.1"),
    no_target=b"GET  HTTP/1.1\r\nHost: here\r\n\r\n",
    no_version=b"GET /v1/models\r\nHost: here\r\n\r\n",
    bad_version=b"GET /v1/models HTTQ/1.1\r\nHost: here\r\n\r\n",
    version_three_digits=b"GET /v1/models HTTP/1.11\r\nHost: here\r\n\r\n",
    space_in_target=head("GET /v1/mo dels HTTP/1.1"),
    target_non_ascii=head("GET /v1/mod\xe8les HTTP/1.1"),
    garbage=b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    http2_preface=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)

TOO_LARGE = seeds(
    {431},
    True,
    header_of_a_megabyte=head("GET /v1/models HTTP/1.1", "X-A: " + "a" * 1_000_000),
    header_of_40_kilobytes=head("GET /v1/models HTTP/1.1", "X-A: " + "a" * 40_000),
    header_name_of_a_megabyte=head("GET /v1/models HTTP/1.1", "X" * 1_000_000 + ": a"),
    headers_101=head("GET /v1/models HTTP/1.1", *(f"X-{n}: a" for n in range(101))),
    headers_10_000=head("GET /v1/models HTTP/1.1", *(f"X-{n}: a" for n in range(10_000))),
    headers_33_kilobytes=head("GET /v1/models HTTP/1.1", *(f"X-{n}: {'a' * 1100}" for n in range(30))),
    url_of_9_kilobytes=head(f"GET /v1/models?{'a' * 9_000} HTTP/1.1"),
    path_of_9_kilobytes=head(f"GET /v1/{'a' * 9_000} HTTP/1.1"),
    url_of_100_kilobytes=head(f"GET /v1/models?{'a' * 100_000} HTTP/1.1"),
    url_without_end=b"GET /" + b"a" * 200_000,
    header_without_end=b"GET /v1/models HTTP/1.1\r\nHost: here\r\nX-A: " + b"a" * 200_000,
)


CHUNKS_GOOD = seeds(
    {200},
    False,
    one=chunks(b"2\r\n{}\r\n0\r\n\r\n"),
    each_byte=chunks(b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
    leading_zeros=chunks(b"0002\r\n{}\r\n000\r\n\r\n"),
    extension=chunks(b"2;a=b\r\n{}\r\n0\r\n\r\n"),
    upper_case_hex=chunks(b"A\r\n[1,2,3,45]\r\n0\r\n\r\n"),
    coding_in_capitals=post(JSON, "Transfer-Encoding: Chunked", body=b"2\r\n{}\r\n0\r\n\r\n", length=False),
    trailer=chunks(b"2\r\n{}\r\n0\r\nX-T: t\r\n\r\n"),
    trailer_that_would_be_a_type=chunks(b"2\r\n{}\r\n0\r\nContent-Type: text/html\r\n\r\n"),
)

CHUNKS_EITHER = seeds(
    {200, 400},
    False,
    trailer_that_would_be_a_length=chunks(b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n"),
)

CHUNKS_BAD = seeds(
    {400},
    True,
    size_of_no_hex=chunks(b"g\r\n{}\r\n0\r\n\r\n"),
    size_negative=chunks(b"-2\r\n{}\r\n0\r\n\r\n"),
    size_plus=chunks(b"+2\r\n{}\r\n0\r\n\r\n"),
    size_0x=chunks(b"0x2\r\n{}\r\n0\r\n\r\n"),
    size_empty=chunks(b"\r\n{}\r\n0\r\n\r\n"),
    size_beyond_64_bits=chunks(b"fffffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
    size_too_small=chunks(b"1\r\n{}\r\n0\r\n\r\n"),
    extension_of_a_megabyte=chunks(b"2;" + b"a" * 1_000_000 + b"\r\n{}\r\n0\r\n\r\n"),
    trailer_of_a_megabyte=chunks(b"2\r\n{}\r\n0\r\nX-T: " + b"a" * 1_000_000 + b"\r\n\r\n"),
)

BODIES_TOO_LARGE = seeds(
    {413},
    True,
    by_length=post(JSON, body=b" " * (BODY_LIMIT + 1)),
    by_length_not_sent=post(JSON, "Content-Length: 99999999999", body=b"{}", length=False),
    by_a_chunk_not_sent=chunks(b"7fffffff\r\n" + b" " * (BODY_LIMIT + 1)),
    on_get=head("GET /v1/models HTTP/1.1", f"Content-Length: {BODY_LIMIT + 1}") + b" " * (BODY_LIMIT + 1),
)

# Where the body has arrived whole before it is refused, the connection is in step and may go on.
BODIES_TOO_LARGE_ENDED = seeds(
    {413},
    False,
    by_one_chunk=chunks(b"%x\r\n%s\r\n0\r\n\r\n" % (BODY_LIMIT + 1, b" " * (BODY_LIMIT + 1))),
    by_many_chunks=chunks(*[b"400\r\n%s\r\n" % (b" " * 1024)] * 100, b"0\r\n\r\n"),
)

UNSERVED_LARGE = head("POST /v1/unserved HTTP/1.1", JSON, f"Content-Length: {3 * BODY_LIMIT}") + b" " * 3 * BODY_LIMIT
UNSERVED = seeds(
    {501},
    True,
    large=UNSERVED_LARGE,
    form=head("POST /v1/unserved HTTP/1.1", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 3")
    + b"a=b",
    compressed=head("POST /v1/unserved HTTP/1.1", JSON, "Content-Encoding: gzip", "Content-Length: 4")
    + b"\x1f\x8b\x08\x00",
    chunked=head("POST /v1/unserved HTTP/1.1", CHUNKED) + b"2\r\n{}\r\n0\r\n\r\n",
    on_get=head("GET /v1/unserved HTTP/1.1", "Content-Length: 5") + b"hello",
)

UNSERVED_WITHOUT_BODY = seeds(
    {501},
    False,
    get=get("/v1/unserved"),
    post=head("POST /v1/unserved HTTP/1.1"),
    empty=head("POST /v1/unserved HTTP/1.1", JSON, "Content-Length: 0"),
)

MEDIA_GOOD = seeds(
    {200},
    False,
    plain=post(JSON),
    in_capitals=post("Content-Type: Application/JSON"),
    utf8=post("Content-Type: application/json; charset=utf-8"),
    utf8_in_capitals_quoted=post('Content-Type: application/json ; Charset="UTF-8"'),
    another_parameter=post("Content-Type: application/json ;x=1"),
    trailing_semicolon=post("Content-Type: application/json;"),
    header_in_capitals=post("CONTENT-TYPE: application/json"),
    encoding_identity=post(JSON, "Content-Encoding: identity"),
    get_with_type_and_no_body=head("GET /v1/models HTTP/1.1", JSON, "Authorization: Bearer undefined"),
    get_with_unknown_type=head("GET /v1/models HTTP/1.1", "Content-Type: text/html"),
    get_with_body=head("GET /v1/models HTTP/1.1", "Content-Length: 5") + b"hello",
    delete_with_body=head("DELETE /v1/models/a HTTP/1.1", JSON, "Content-Length: 2") + b"{}",
    get_with_chunked_body=head("GET /v1/models HTTP/1.1", CHUNKED) + b"2\r\n{}\r\n0\r\n\r\n",
)

MEDIA_BAD = seeds(
    {415},
    True,
    none=post(),
    empty=post("Content-Type:"),
    text=post("Content-Type: text/plain"),
    html=post("Content-Type: text/html"),
    form=post("Content-Type: application/x-www-form-urlencoded"),
    xml=post("Content-Type: application/xml"),
    multipart=post("Content-Type: multipart/form-data; boundary=b", body=b" " * (BODY_LIMIT + 1)),
    json_like=post("Content-Type: application/problem+json"),
    json_twice_in_one=post("Content-Type: application/json, application/json"),
    wildcard=post("Content-Type: */*"),
    no_subtype=post("Content-Type: json"),
    charset_foo=post("Content-Type: application/json; charset=foo"),
    charset_utf16=post("Content-Type: application/json; charset=utf-16"),
    charset_zlib=post("Content-Type: application/json; charset=zlib_codec"),
    charset_latin=post("Content-Type: application/json; charset=iso-8859-1"),
    charset_empty=post('Content-Type: application/json; charset=""'),
    charset_twice=post("Content-Type: application/json; charset=utf-8; charset=utf-7"),
    parameter_unreadable=post("Content-Type: application/json; charset"),
    gzip=post(JSON, "Content-Encoding: gzip", body=b"\x1f\x8b\x08\x00"),
    deflate=post(JSON, "Content-Encoding: deflate"),
    br=post(JSON, "Content-Encoding: br"),
    gzip_twice=post(JSON, "Content-Encoding: identity, gzip"),
    zstd=post(JSON, "Content-Encoding: zstd"),
)

BODIES_BAD = seeds(
    {400},
    False,
    empty=post(JSON, body=b""),
    empty_chunked=chunks(b"0\r\n\r\n"),
    no_json=post(JSON, body=b"hello"),
    not_utf8=post(JSON, body=b'{"a":"\xff"}'),
    byte_order_mark=post(JSON, body=b"\xef\xbb\xbf{}"),
    nan=post(JSON, body=b"[NaN]"),
    deep=post(JSON, body=b"[" * 60_000),
    deep_and_valid=post(JSON, body=b"[" * 5_000 + b"]" * 5_000),
    digits=post(JSON, body=b"1" * 60_000),
    duplicate_keys=post(JSON, body=b'{"a":1,"a":2}'),
    infinite=post(JSON, body=b"1e999"),
    control=post(JSON, body=b'"\x01"'),
    length_too_short=post(JSON, "Content-Length: 1", body=b"{", length=False),
)


TABLES: dict[str, list[Seed]] = {
    "smuggling": SMUGGLING,
    "heads": HEADS,
    "too_large": TOO_LARGE,
    "chunks_good": CHUNKS_GOOD,
    "chunks_either": CHUNKS_EITHER,
    "chunks_bad": CHUNKS_BAD,
    "bodies_too_large": BODIES_TOO_LARGE,
    "bodies_too_large_ended": BODIES_TOO_LARGE_ENDED,
    "unserved": UNSERVED,
    "unserved_without_body": UNSERVED_WITHOUT_BODY,
    "media_good": MEDIA_GOOD,
    "media_bad": MEDIA_BAD,
    "bodies_bad": BODIES_BAD,
    "paths_good": targets.PATHS_GOOD,
    "paths_bad": targets.PATHS_BAD,
    "methods": targets.METHODS,
    "methods_odd": targets.METHODS_ODD,
    "versions": targets.VERSIONS,
    "versions_closing": targets.VERSIONS_CLOSING,
}
EVERY = {f"{table}-{seed.name}": seed for table, rows in TABLES.items() for seed in rows}
