"""The benchmark itself, small: that it measures what it says, not how fast."""

import json
import random
from pathlib import Path

import pytest

from e2e.bench import typegen_bench
from typegen import descriptions, federate


@pytest.mark.parametrize("size", [size for size, _ in typegen_bench.SIZES])
def test_its_crds_are_of_the_sizes_that_it_says_and_become_types(size: int) -> None:
    made = typegen_bench.crd(1, size, random.Random(1))
    measured = descriptions.size(made)
    assert size * 0.4 < measured < size * 1.6
    assert federate.from_crd(made).federated.kind == "FederatedWidget1"


def test_the_same_seed_gives_the_same_crds(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        typegen_bench.write_crds(tmp_path / name, 3)
    assert [path.read_text() for path in sorted((tmp_path / "a").iterdir())] == [
        path.read_text() for path in sorted((tmp_path / "b").iterdir())
    ]


def test_a_short_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typegen_bench.main(["--count", "2", "--output", str(tmp_path / "raw.json")]) == 0
    raw = json.loads((tmp_path / "raw.json").read_text())
    assert raw["crds"] == 2
    assert raw["ratio"] == pytest.approx(raw["typegen"]["cpu"] / raw["plain"]["cpu"])
    assert "2 CRDs" in capsys.readouterr().out
