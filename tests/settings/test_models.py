"""Models of the TOML file: where they are served, and who stands in."""

import pytest
import yaml

from llm_backend.configured import model as configured
from llm_backend.resources import resource
from llm_backend.settings.models import NO_DEFAULTS
from llm_backend.upstream.models import Model, Sunset, Target
from tests.settings.loading import Load, refused

UPSTREAMS = '[upstreams.a]\nurl = "https://a"\n[upstreams.b]\nurl = "https://b"\n'
FILE = (
    UPSTREAMS
    + """
[models.main]
upstreams = [{ name = "a", model = "there", weight = 3 }, { name = "b" }]
fallback = ["other", "alias"]
fallback_on = ["context", "content"]
output_cap_field = "max_completion_tokens"
defaults = { temperature = 0.2, stop = ["."], response_format = { type = "text" } }
shutdown_date = 2031-05-01
successor = "other"
[models.other]
upstream = "b"
upstream_model = "there"
[models."wild-*"]
upstream = "b"
[aliases]
alias = "wild-x"
"""
)


def test_a_model_is_what_the_file_says(load_file: Load) -> None:
    settings = load_file(FILE)
    main, other, wild = (configured(name, told) for name, told in settings.models.items())

    assert main.targets == (Target("a", "there", 3), Target("b"))
    assert main.fallback == ("other", "alias")
    assert main.fallback_on == {"context", "content"}
    assert main.defaults == {"temperature": 0.2, "stop": ["."], "response_format": {"type": "text"}}
    assert (main.output_cap_field, main.sunset is not None) == ("max_completion_tokens", True)
    assert main.sunset == Sunset(settings.models["main"].shutdown_date, "other")  # type: ignore[arg-type]
    assert other.targets == (Target("b", "there"),)
    assert isinstance(wild, Model)
    assert wild.matches("wild-x")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[models.m]\nupstreams = [{ name = "c" }]', 'names the upstream "c", which is none of a, b'),
        ('[models.m]\nupstream = "a"\nupstreams = [{ name = "b" }]', "one of the two says who answers"),
        ('[models.m]\nupstreams = [{ name = "a" }, {}]', "names the same place twice"),
        ('[models.m]\nupstreams = [{ name = "a", weight = 0 }]', "greater than or equal to 1"),
        ('[models."m*n"]', "a * stands at the end"),
        ('[models."m*"]\nupstream_model = "n"', "stands for many models"),
        ('[models.m]\nfallback = ["n"]', "which is no model and no alias of the file"),
        ('[models.m]\nfallback = ["alias"]\n[aliases]\nalias = "m"', "names the model itself"),
        ('[models.m]\nfallback_on = ["context"]', "fallback_on needs fallback"),
        ('[models.m]\nfallback_on = ["mood"]', "'context' or 'content'"),
        ('[models.m]\nsuccessor = "n"', "successor needs shutdown_date"),
        ('[models.m]\nfallback = ["a\\u0007"]', "none of them a control"),
        ("[models.m]\ndefaults = { model = 'n', stream = true }", "must not set model, stream"),
        ("[models.m]\ndefaults = { since = 2031-05-01 }", "must be JSON"),
        ("[models.m]\ndefaults = { temperature = nan }", "must be JSON"),
        ('[models.m]\nupstreams = ["a"]', "models.m.upstreams[0] must be a table"),
    ],
)
def test_what_leads_nowhere_is_refused(load_file: Load, text: str, reason: str) -> None:
    (problem,) = refused(load_file, UPSTREAMS + text)

    assert reason in problem


def test_what_configures_an_upstream_is_no_default() -> None:
    policy = yaml.safe_load((resource("spec") / "policy.yaml").read_text())

    assert set(policy["configuration_fields"]) <= NO_DEFAULTS
