"""The record of a migration: what is recorded once stays, unless KubeFed was started again meanwhile."""

from typing import Any

import pytest

from federation.migrating import records
from federation.migrating.records import Narrowed, Record
from federation.model.errors import Invalid

HOOK: dict[str, Any] = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {
        "name": "validations.core.kubefed.io",
        "uid": "1",
        "resourceVersion": "7",
        "generation": 2,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{}],
        "labels": {"a": "b"},
    },
    "webhooks": [{"name": "w"}],
    "status": {},
}


@pytest.mark.parametrize(
    ("recorded", "seen", "expected"),
    [
        pytest.param({}, {"a": 2}, {"a": 2}, id="first"),
        pytest.param({"a": 2}, {"a": 0}, {"a": 2}, id="stopped-since"),
        pytest.param({"a": 2}, {"a": 3}, {"a": 3}, id="started-again"),
        pytest.param({"a": 2}, {}, {"a": 2}, id="deleted-since"),
        pytest.param({}, {"a": 0}, {"a": 0}, id="never-ran"),
        pytest.param({"a": 2}, {"b": 1}, {"a": 2, "b": 1}, id="another"),
    ],
)
def test_replicas(recorded: dict[str, int], seen: dict[str, int], expected: dict[str, int]) -> None:
    assert records.with_workloads(Record(replicas=recorded), seen).replicas == expected


def test_a_configuration_is_recorded_as_somebody_wrote_it_and_stays_when_it_is_away() -> None:
    key = records.hook_key("validatingwebhookconfigurations", "validations.core.kubefed.io")
    record = records.with_hooks(Record(), {key: HOOK})
    assert record.hooks[key]["metadata"] == {"name": "validations.core.kubefed.io", "labels": {"a": "b"}}
    assert "status" not in record.hooks[key]
    assert records.with_hooks(record, {}) == record
    changed = {**HOOK, "webhooks": []}
    assert records.with_hooks(record, {key: changed}).hooks[key]["webhooks"] == []
    assert HOOK["metadata"]["uid"] == "1", "what was read is not changed"


def test_what_a_member_had_first_is_what_it_gets_back() -> None:
    first, second = Narrowed("s", "east-host", "r", "", [{"verbs": ["*"]}], "t"), Narrowed("s", "east-host", "r")
    record = records.with_narrowed(records.with_narrowed(Record(), "east", first), "east", second)
    assert record.narrowed == {"east": first}
    assert records.without_narrowed(record, ["east"]).narrowed == {}


def test_it_is_read_as_it_was_written() -> None:
    record = Record(started="2026-01-01T00:00:00Z", by="fedctl 1", replicas={"a": 2})
    record = records.with_narrowed(record, "east", Narrowed("s", "east-host", "r", "", [{"verbs": ["*"]}], "t"))
    record = records.with_hooks(record, {"validatingwebhookconfigurations.v": HOOK})
    record = records.stopped(record, "2026-01-02T00:00:00Z")
    data = records.encode(record)
    assert records.decode(data) == record
    assert set(data) == {"record", "hook.validatingwebhookconfigurations.v"}


@pytest.mark.parametrize(
    "data",
    [
        {"record": "{"},
        {"record": '{"replicas": {"a": "many"}}'},
        {"record": "{}", "hook.v": "[]"},
        {"record": "{}", "hook.v": "{}"},
        {"record": "{}", "hook.v": "{"},
    ],
)
def test_what_somebody_has_changed_into_something_else_is_said(data: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="is no record of a migration"):
        records.decode(data)
