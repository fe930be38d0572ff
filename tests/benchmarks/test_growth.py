import json
import sys
from pathlib import Path

import pytest

from benchmarks import grown, growth
from benchmarks.filling import Amounts
from benchmarks.grown import Size

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what another process has computed")


def test_each_kind_of_request_is_measured_with_little_and_with_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = Amounts(records=300, keys=50, messages=100, others=1)
    monkeypatch.setitem(grown.SIZES, grown.LITTLE, Size(few, models=1))
    monkeypatch.setitem(grown.SIZES, grown.MUCH, Size(few, models=3))

    growth.main(["--only", "SQLite", "--rounds", "1", "--requests", "2", "--out", str(tmp_path / "growth.json")])

    ratios = [each for each in json.loads((tmp_path / "growth.json").read_bytes())["figures"] if each["unit"] == "x"]
    assert [each["what"] for each in ratios] == [kind.name for kind in growth.KINDS]
    assert min(each["median"] for each in ratios) > 0
    assert "chat completion" in capsys.readouterr().out
