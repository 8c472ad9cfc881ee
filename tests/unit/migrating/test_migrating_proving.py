"""Members' objects before and after: what counts as the same, and what is told of the rest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.migrating import proving
from federation.migrating.proving import Difference, Fate, Seen
from federation.model.errors import Invalid

MANAGER = "kubefed-0123abcd"
SINCE = "2026-01-02T00:00:00Z"


def configmap(**changes: Any) -> dict[str, Any]:
    metadata = {
        "name": "web",
        "namespace": "shop",
        "uid": "u1",
        "resourceVersion": "1",
        "labels": {"kubefed.io/managed": "true"},
        "managedFields": [{"manager": "controller-manager", "operation": "Update", "time": "2026-01-01T00:00:00Z"}],
    }
    return {"kind": "ConfigMap", "metadata": metadata | changes.pop("metadata", {}), "data": {"a": "b"}} | changes


def before_and_now(old: dict[str, Any], new: dict[str, Any], *, secret: bool = False) -> proving.Compared:
    key = proving.key("configmaps", old)
    now = {proving.key("configmaps", new): (proving.seen(new, secret=secret), new["metadata"])}
    return proving.compare({key: proving.seen(old, secret=secret)}, now, MANAGER, SINCE)


def test_another_managedfields_resourceversion_and_status_are_the_same_object() -> None:
    ours = {"manager": MANAGER, "operation": "Apply", "time": "2026-01-03T00:00:00Z"}
    new = configmap(metadata={"resourceVersion": "9", "managedFields": [ours]}, status={"x": 1})
    found = before_and_now(configmap(), new)
    assert found == proving.Compared(before=1, now=1, same=1, taken=1)
    assert found.proven


@pytest.mark.parametrize(
    ("changes", "fate", "parts"),
    [
        ({"metadata": {"uid": "u2"}}, Fate.RECREATED, ()),
        ({"data": {"a": "c"}}, Fate.CHANGED, ("content",)),
        ({"binaryData": {"a": "c"}}, Fate.CHANGED, ("content",)),
        ({"metadata": {"labels": {}}}, Fate.CHANGED, ("labels",)),
        ({"metadata": {"annotations": {"a": "b"}}}, Fate.CHANGED, ("annotations",)),
    ],
)
def test_a_difference_is_told_with_who_wrote_since(changes: dict[str, Any], fate: Fate, parts: tuple[str, ...]) -> None:
    entries = [
        {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-03T00:00:00Z"},
        {"manager": "controller-manager", "operation": "Update", "time": "2026-01-01T00:00:00Z"},
    ]
    changes["metadata"] = {"managedFields": entries} | changes.get("metadata", {})
    found = before_and_now(configmap(), configmap(**changes))
    assert found.differences == (Difference("configmaps shop/web", fate, parts, ("kubectl-edit",)),)
    assert not found.proven
    assert found.count(fate) == 1


def test_gone_is_a_difference_and_new_is_none_that_counts() -> None:
    old, other = configmap(), configmap(metadata={"name": "other"})
    found = before_and_now(old, other)
    assert [(each.key, each.fate) for each in found.differences] == [
        ("configmaps shop/web", Fate.GONE),
        ("configmaps shop/other", Fate.NEW),
    ]
    assert not found.proven
    assert proving.compare({}, {"a": (Seen("u", "", "", ""), {})}, MANAGER, SINCE).proven


def test_of_a_secret_nothing_but_metadata_is_digested() -> None:
    one, two = configmap(data={"password": "x"}), configmap(data={"password": "y"})
    assert proving.seen(one, secret=True) == proving.seen(two, secret=True)
    assert proving.seen(one, secret=True).content == ""


_NAMES = st.from_regex(r"[a-z][a-z.-]{0,20} [a-z0-9/.:-]{1,30}", fullmatch=True)


@given(st.dictionaries(_NAMES, st.builds(Seen, *[st.from_regex(r"[A-Za-z0-9_-]{0,36}", fullmatch=True)] * 4)))
def test_a_snapshot_is_read_as_it_was_stored(snapshot: proving.Snapshot) -> None:
    assert proving.joined(proving.parts(snapshot)) == snapshot


def test_many_objects_are_several_parts_that_fit_into_configmaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "PART", 10)
    snapshot = {f"configmaps a/{number}": Seen(f"u{number}", "l", "a", "c") for number in range(25)}
    parts = proving.parts(snapshot)
    assert len(parts) == 3
    assert proving.joined(parts) == snapshot
    assert len(proving.parts({})) == 1


@pytest.mark.parametrize("stored", ["no base64!", "AAAA", proving.parts({})[0][:-6]])
def test_a_part_that_is_broken_is_said(stored: str) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        proving.joined([stored])
