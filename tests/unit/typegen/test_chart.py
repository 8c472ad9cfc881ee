"""The chart: made from templates/, complete, and in step with the package it deploys."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import federation
from charts import dashboard, release
from charts import render as chart
from federation.runtime import metrics
from typegen import templates

SCHEMA = json.loads((chart.CHART / "values.schema.json").read_text())
FROM_ELSEWHERE = {"process_resident_memory_bytes", "leader_election_master_status"}
"""prometheus_client's own, and that of the election."""
VALUES = yaml.safe_load((chart.CHART / "values.yaml").read_text())


@pytest.mark.parametrize("name", chart.files())
def test_the_files_in_git_are_what_templates_give(name: str) -> None:
    assert (chart.CHART / name).read_text(encoding="utf-8") == chart.files()[name]


def test_check_says_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chart, "CHART", tmp_path)
    assert chart.main(["--check"]) == 1
    assert (
        "templates/deployment.yaml is not what templates/ gives: run python -m charts.render" in capsys.readouterr().err
    )
    assert chart.main([]) == 0
    assert chart.main(["--check"]) == 0
    (tmp_path / "templates/left-over.yaml").write_text("")
    assert chart.main(["--check"]) == 1
    assert chart.main([]) == 0
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(chart.files())


def test_versions_agree() -> None:
    described = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
    assert described["version"] == described["appVersion"]
    assert release.python_version(described["version"]) == federation.__version__


def test_the_crds_are_those_of_the_package() -> None:
    found = [yaml.safe_load(text) for name, text in chart.files().items() if name.startswith("crds/")]
    assert found == [*templates.core_crds(), *templates.kubefeds_crds()]


@pytest.mark.parametrize("name", chart.files())
def test_helms_blocks_are_closed(name: str) -> None:
    words = re.findall(r"\{\{-?\s*(if|with|range|define|end)\b", chart.files()[name])
    assert words.count("end") * 2 == len(words)


def leaves(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for name, value in values.items():
        known = schema.get("properties", {}).get(name, {})
        if "$ref" in known:
            known = SCHEMA["definitions"][known["$ref"].rpartition("/")[2]]
        if isinstance(value, dict) and known.get("properties"):
            yield from leaves(value, known, f"{path}.{name}")
        else:
            yield f"{path}.{name}", value, known


@pytest.mark.parametrize(("path", "value", "schema"), list(leaves(VALUES, SCHEMA)))
def test_every_value_is_described(path: str, value: Any, schema: dict[str, Any]) -> None:
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    allowed = schema.get("oneOf", [schema])
    assert any("type" not in each or isinstance(value, types[each["type"]]) for each in allowed)
    assert allowed != [{}], f"{path} is not in values.schema.json"


def test_every_value_that_is_used_exists() -> None:
    texts = [path.read_text() for path in (chart.CHART / "templates").rglob("*") if path.is_file()]
    for path in sorted({match for text in texts for match in re.findall(r"\.Values((?:\.\w+)+)", text)}):
        node: Any = VALUES
        for name in path.removeprefix(".").split("."):
            assert name in node, path
            node = node[name]
    shown = re.findall(r"\$values\.(\w+)", (chart.CHART / "templates/_config.tpl").read_text())
    assert set(shown) <= set(VALUES["controllermanager"])
    others = {"controller", "shards"}  # of the Deployment
    assert set(VALUES["controllermanager"]) - set(shown) == others, "every setting reaches the KubeFedConfig"


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    shown = json.loads(dashboard.text())
    queries = [target["expr"] for panel in shown["panels"] for target in panel.get("targets", ())]
    names = {name for query in queries for name in re.findall(r"\b(?:\w+_)+\w+\b(?=\{|\[|\)| ==| /|$)", query)}
    known = {each.removesuffix("_bucket") for each in names}
    text = Path(metrics.__file__).read_text(encoding="utf-8")
    missing = {each for each in known if f'"{each}"' not in text} - FROM_ELSEWHERE
    assert len(known) > 15
    assert missing == set()


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(dashboard.text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
