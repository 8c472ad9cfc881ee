"""What `fedctl enable --check` prints and how it exits, without clusters."""

import json

import pytest
import yaml

from federation.cli import fits
from federation.joining.checking import Fit
from typegen.fitting import Kind, Misfit

GOOD = Fit("m1", "gauges.example.com", ("v2", "v1"))
BAD = Fit(
    "m2",
    "gauges.example.com",
    ("v1",),
    (
        Misfit(Kind.VERSION_UNAVAILABLE, "spec.template.apiVersion", "v2 is not served there", ("v2",)),
        Misfit(Kind.FIELD_UNKNOWN, "spec.template.spec.a", "the field is not known there", ("v1", "v2")),
    ),
)
SILENT = Fit("m3", "gauges.example.com", problem="no answer within 20 s")


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    fits.show([GOOD, BAD, SILENT], None)
    rows = [row.split() for row in capsys.readouterr().out.splitlines()[1:]]
    assert [row[:5] for row in rows] == [
        ["m1", "gauges.example.com", "Fits", "v2,v1", "<none>"],
        ["m2", "gauges.example.com", "VersionUnavailable", "v2", "spec.template.apiVersion"],
        ["m2", "gauges.example.com", "FieldUnknown", "v1,v2", "spec.template.spec.a"],
        ["m3", "gauges.example.com", "Unknown", "<none>", "<none>"],
    ]


def test_json_and_yaml_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    fits.show([GOOD, BAD, SILENT], "json")
    found = json.loads(capsys.readouterr().out)
    fits.show([GOOD, BAD, SILENT], "yaml")
    assert yaml.safe_load(capsys.readouterr().out) == found
    assert found["fits"] is False
    assert [each["fits"] for each in found["clusters"]] == [True, False, False]
    assert found["clusters"][2]["problem"] == "no answer within 20 s"
    assert found["clusters"][1]["findings"][1] == {
        "finding": "FieldUnknown",
        "versions": ["v1", "v2"],
        "path": "spec.template.spec.a",
        "message": "the field is not known there",
    }


@pytest.mark.parametrize(
    ("found", "code", "message"),
    [
        pytest.param([GOOD], 0, "", id="fits"),
        pytest.param([], 0, "no cluster has joined", id="nobody"),
        pytest.param([GOOD, BAD], 1, "1 of 2 do not fit", id="misfit"),
        pytest.param([GOOD, SILENT], 3, "1 of 2 could not be compared", id="silent"),
        pytest.param([BAD, SILENT], 1, "1 of 2 could not be compared", id="misfit-counts-first"),
    ],
)
def test_exit_code(found: list[Fit], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fits.report(found) == code
    reported = capsys.readouterr().err
    assert message in reported
    assert bool(reported) == bool(message)
