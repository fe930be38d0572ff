"""The campaign itself runs for minutes, on servers of its own: here only that it is there."""

import subprocess
import sys

from tests.deployment.facts import ROOT
from tests.deployment.test_checkout import shown


def test_the_campaign_says_what_it_can_be_asked_for() -> None:
    command = (sys.executable, "-m", "campaign", "--help")

    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603 (our own module)

    assert "--rounds" in told


def test_make_campaign_runs_it_with_the_rounds_that_it_is_given() -> None:
    assert shown("campaign").splitlines()[-1].split() == [".venv/bin/python", "-m", "campaign"]
    assert shown("campaign", "ROUNDS=50").splitlines()[-1].split()[-2:] == ["--rounds", "50"]
