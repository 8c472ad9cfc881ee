"""How a plan is shown to people and to programs, and the exit code."""

import json
import sys
from typing import Any

import pytest

from federation.cli import plan, planned, visible
from federation.model.resources import Key, ObjectName, Resource
from federation.preview.changes import Change, Field, Findings, Kind
from federation.preview.hub import Hub
from federation.preview.making import Made
from federation.preview.wishes import Given, Wish

CONFIGMAPS = Resource("types.kubefed.io", "v1beta1", "FederatedConfigMap", "federatedconfigmaps", namespaced=True)
SECRETS = Resource("types.kubefed.io", "v1beta1", "FederatedSecret", "federatedsecrets", namespaced=True)
WEB = Key("configmaps", "shop", "web")
MANY = [f"c{number:04}" for number in range(997)]


def wish(before: Any = None, after: Any = None, resource: Resource = CONFIGMAPS) -> Wish:
    def stored(template: Any) -> dict[str, Any]:
        return {"kind": resource.kind, "metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": template}}

    old, new = (stored(each) if each is not None else None for each in (before, after))
    given = Given("apps/web.yaml:1", new or old or {})
    return Wish(given, resource, ObjectName("shop", "web"), old, new, secret=resource is SECRETS)


def made(*changes: tuple[Change, list[str]], wishes: tuple[Wish, ...] = (), **more: Any) -> Made:
    findings = Findings()
    for change, clusters in changes:
        for cluster in clusters:
            findings.add(WEB, cluster, change)
    return Made(Hub("hub"), wishes, findings, **more)


CHANGED = Change(
    Kind.CHANGE, (Field(".data.a", '"b"', '"c"'), Field(".data.n", None, "1"), Field(".data.o", "2", None))
)
PLAN = made(
    (CHANGED, MANY),
    (Change(Kind.DELETE, because="its placement does not select the cluster"), ["m1", "m2"]),
    (Change(Kind.REFUSE, message="exceeded quota: pods"), ["east"]),
    (Change(Kind.WAIT, (Field(".data.a", '"b"', '"c"'),), "waits for stage rest", expected="change"), ["m5"]),
    (Change(Kind.UNKNOWN, message="does not answer", expected="change"), ["m3"]),
    (Change(Kind.CREATE, pending=True), ["m4"]),
    wishes=(wish({"a": 1}, {"a": 2}), wish({"a": 1}, {"a": 1})),
    notes={1: ["its placement names m9: no such cluster has joined"]},
    silent={"m3": "does not answer"},
    unready={"m2": "no route to host"},
)


def test_equal_clusters_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    planned.show(PLAN, None, values=True)
    assert capsys.readouterr().out.splitlines() == [
        "~ hub: FederatedConfigMap shop/web change",
        "    .spec.template.a 1 -> 2",
        "  hub: FederatedConfigMap shop/web",
        "    note: its placement names m9: no such cluster has joined",
        "configmaps shop/web",
        "  + create in m4 (under way already, without this change)",
        "  ~ change in 997 clusters (c0000, c0001, ...)",
        '      .data.a "b" -> "c"',
        "      .data.n + 1",
        "      .data.o - 2",
        "  - delete in m1, m2: because its placement does not select the cluster",
        "  ! refused in east: exceeded quota: pods",
        "  . later: change in m5: waits for stage rest",
        '      .data.a "b" -> "c"',
        "  ? unknown, as far as the hub knows: change in m3: does not answer",
        "1 at the hub; in members: 997 to change, 2 to delete, 1 refused, 1 waits, 1 unknown",
        "unknown: m3: does not answer",
        "done once the controller reaches it: m2: no route to host",
    ]


def test_colour_only_where_it_is_asked_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And what a member says cannot make any."""
    told = made((Change(Kind.REFUSE, message="no \x1b[31m red"), ["m1"]))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    planned.show(told, None, values=True)
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("sys.stdout", visible.Stream(sys.stdout))
    planned.show(told, None, values=True)
    assert "\x1b[31m  ! refused in m1: no [31m red\x1b[0m" in capsys.readouterr().out


def test_the_summary_alone(capsys: pytest.CaptureFixture[str]) -> None:
    planned.show(PLAN, "summary", values=True)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_as_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    planned.show(PLAN, "json", values=True)
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "Plan"
    assert found["changes"] is True
    assert found["summary"] == {"change": 997, "delete": 2, "refuse": 1, "wait": 1, "unknown": 1}
    (web,) = found["objects"]
    assert [each["change"] for each in web["changes"]] == ["create", "change", "delete", "refuse", "wait", "unknown"]
    assert web["changes"][0] == {"change": "create", "clusters": ["m4"], "pending": True}
    assert web["changes"][1]["fields"][1] == {"path": ".data.n", "before": None, "after": "1"}


def test_values_of_a_secret_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    secret = wish({"data": {"password": "aHVudGVyMg=="}}, {"data": {"password": "bmV3"}}, SECRETS)
    for output in (None, "json", "yaml"):
        planned.show(made(wishes=(secret,)), output, values=True)
        shown = capsys.readouterr().out
        assert ".spec.template.data.password" in shown
        assert "aHVudGVyMg" not in shown
        assert "bmV3" not in shown


def test_no_value_is_shown_without_values(capsys: pytest.CaptureFixture[str]) -> None:
    planned.show(made(wishes=(wish({"a": "canary"}, {"a": "other"}),)), None, values=False)
    shown = capsys.readouterr().out
    assert ".spec.template.a" in shown
    assert "canary" not in shown


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (made(), 0),
        (made(wishes=(wish({"a": 1}, {"a": 1}),)), 0),
        (made(wishes=(wish(None, {"a": 1}),)), 1),
        (made((Change(Kind.CREATE), ["m1"])), 1),
        (made((Change(Kind.CREATE, pending=True), ["m1"])), 0),
        (made(silent={"m1": "away"}), 0),
        (made((Change(Kind.UNKNOWN, expected="change"), ["m1"])), 1),
        (made((Change(Kind.REFUSE), ["m1"])), 3),
        (made((Change(Kind.REFUSE, pending=True), ["m1"])), 0),
        (made(problems=["configmaps: forbidden"]), 3),
    ],
)
def test_exit_code(found: Made, code: int) -> None:
    assert plan.exit_code(found) == code
