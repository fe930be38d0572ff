"""The first pass: syntax to facts."""

import ast
from textwrap import dedent
from types import SimpleNamespace

import pytest

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.sites import Fields, Site, read_class

OPTIONS = "options=make_request_options(extra_headers=extra_headers, timeout=timeout)"


class Params: ...


class Query: ...


class Answer: ...


class Event: ...


NAMES = {"Answer": Answer, "Event": Event, "params": SimpleNamespace(Params=Params, Query=Query)}


def read(method: str) -> Site:
    indented = "\n".join(f"    {line}" for line in dedent(method).strip().splitlines())
    (definition,) = ast.parse(f"class Things:\n{indented}").body
    assert isinstance(definition, ast.ClassDef)
    (site,) = read_class(definition, NAMES, ("things",), "things")
    return site


def refusal(method: str) -> str:
    with pytest.raises(CompileError) as refused:
        read(method)
    return str(refused.value)


def test_a_get_has_a_verb_a_path_and_an_answer() -> None:
    site = read(f"""
        def retrieve(self, thing_id):
            return self._get(path_template("/things/{{thing_id}}", thing_id=thing_id), {OPTIONS}, cast_to=Answer)
    """)

    assert (site.verb, site.path, site.method, site.answer) == ("GET", "/things/{thing_id}", "retrieve", Answer)
    assert (site.body, site.query, site.page, site.streamed, site.deprecated) == (None, None, None, False, False)


def test_a_body_is_its_type_and_the_keys_that_are_sent() -> None:
    site = read(f"""
        def create(self, name):
            body = maybe_transform({{"name": name, "async_": async_}}, params.Params)
            return self._post("/things", body=body, {OPTIONS}, cast_to=Answer)
    """)

    assert site.body == Fields((Params,), ("name", "async_"))


def test_a_body_behind_a_local_name_and_a_copy_is_followed() -> None:
    site = read(f"""
        def create(self, file):
            body = deepcopy_with_paths({{"file": file}}, [["file"]])
            files = extract_files(body)
            extra_headers = {{"Content-Type": "multipart/form-data", **(extra_headers or {{}})}}
            return self._post("/things", body=maybe_transform(body, params.Params), files=files, {OPTIONS},
                              cast_to=Answer)
    """)

    assert site.body == Fields((Params,), ("file",))
    assert site.form == "always"


def test_a_form_that_is_json_without_files_is_told_apart() -> None:
    site = read(f"""
        def create(self, file):
            if files:
                extra_headers = {{"Content-Type": "multipart/form-data", **(extra_headers or {{}})}}
            return self._post("/things", files=files, {OPTIONS}, cast_to=Answer)
    """)

    assert site.form == "files"


def test_a_list_has_a_page_class_and_the_method_that_it_says() -> None:
    site = read("""
        def list(self):
            return self._get_api_list("/things", page=SyncPage[Answer], model=Answer, method="post",
                                      options=make_request_options(query=maybe_transform({"a": a}, params.Query)))
    """)

    assert (site.verb, site.page, site.answer) == ("POST", "SyncPage", Answer)
    assert site.query == Fields((Query,), ("a",))


def test_a_stream_knows_its_flag_its_events_and_their_envelope() -> None:
    site = read("""
        def create(self, stream):
            return self._post("/things", options=make_request_options(synthesize_event_and_data=True), cast_to=Answer,
                              stream=stream or False, stream_cls=Stream[Event])
    """)

    assert (site.streamed, site.event, site.enveloped) == ("stream", Event, True)


def test_headers_of_the_caller_are_parameters_and_those_of_the_package_are_not() -> None:
    site = read(f"""
        def create(self, key):
            extra_headers = {{**strip_not_given({{"Idempotency-Key": key}}), **(extra_headers or {{}})}}
            extra_headers = {{"OpenAI-Beta": "things=v1", **(extra_headers or {{}})}}
            return self._post("/things", {OPTIONS}, cast_to=Answer)
    """)

    assert site.headers == ("idempotency-key",)


def test_a_deprecated_method_says_so() -> None:
    site = read(f"""
        @typing_extensions.deprecated("old")
        def create(self):
            return self._post("/things", {OPTIONS}, cast_to=Answer)
    """)

    assert site.deprecated


def test_an_unknown_keyword_stops_the_build_with_its_place() -> None:
    message = refusal(f"""
        def create(self):
            return self._post("/things", {OPTIONS}, cast_to=Answer, retries=3)
    """)

    assert message.startswith("things:create: unknown keywords ['retries']")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (f"self._get('/a' + b, {OPTIONS}, cast_to=Answer)", "a path of unknown making"),
        (f"self._get('/a', {OPTIONS}, cast_to=Unknown)", "a type that is no plain name"),
        (f"self._post('/a', {OPTIONS}, cast_to=Answer, body=strange)", "a body or query of unknown making"),
        (f"self._post('/a', {OPTIONS}, cast_to=Answer, body=maybe_transform(x, params.Params))", "no dictionary"),
        (f"self._get_api_list('/a', {OPTIONS}, page=SyncPage, model=Answer)", "a page of unknown making"),
        (f"self._get('/a', {OPTIONS}, cast_to=Answer, stream=maybe())", "a stream flag of unknown making"),
        (f"self._get('/a', {OPTIONS}, cast_to=Answer, stream_cls=Stream())", "a stream of unknown making"),
        ("self._get('/a', options=options, cast_to=Answer)", "options of unknown making"),
    ],
)
def test_an_unknown_expression_stops_the_build(call: str, reason: str) -> None:
    message = refusal(f"def create(self):\n    return {call}")

    assert message.startswith(f"things:create: {reason}")


@pytest.mark.parametrize("headers", ["{'X-New': 'a'}", "{**others()}", "headers()"])
def test_unknown_headers_stop_the_build(headers: str) -> None:
    message = refusal(f"""
        def create(self):
            extra_headers = {headers}
            return self._post("/things", {OPTIONS}, cast_to=Answer)
    """)

    assert "header" in message


def test_two_calls_in_one_method_stop_the_build() -> None:
    message = refusal(f"""
        def create(self):
            self._get("/things", {OPTIONS}, cast_to=Answer)
            return self._post("/things", {OPTIONS}, cast_to=Answer)
    """)

    assert message == "things:create: more than one call to the API"
