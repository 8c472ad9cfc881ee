"""Works of several objects: which one an object goes to, how one is edited, and what it shows."""

import copy
from typing import Any

import msgspec
import orjson
import pytest

from federation.core import bundles
from federation.core.bundles import Change, Piece
from federation.model import works as names
from federation.model.bundles import Bundle, Entry
from federation.model.observations import Said
from federation.model.resources import Key, ObjectName
from federation.model.works import Identifier
from tests.fakeworks import MANAGER, patch

TAKEN = names.TAKEN_ANNOTATION


def a_piece(name: str, value: str = "1", *, size: int = 100, stays: bool = False) -> Piece:
    what = Identifier("", "configmaps", "ns", name)
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "ns"},
        "data": {"a": value},
    }
    identifier = {"group": "", "resource": "configmaps", "namespace": "ns", "name": name}
    config = {"resourceIdentifier": identifier}
    return Piece(Key("configmaps", "ns", name), what, f"digest-{value}", manifest, config, size, stays)


class Hub:
    """One work as an API server has it."""

    def __init__(self, *pieces: Piece) -> None:
        body, _ = bundles.created("bundle-1", "p1", MANAGER, pieces)
        self.work: dict[str, Any] = orjson.loads(body)
        self.work["metadata"] |= {"uid": "u", "generation": 1, "resourceVersion": "1"}

    def carry_out(self, change: Change) -> Bundle:
        """As `edit` says; what was computed is what is there then."""
        made = bundles.edit(self.bundle, change)
        self.send(made.operations)
        assert msgspec.structs.replace(self.bundle, version=0) == msgspec.structs.replace(made.after, version=0)
        return made.after

    def send(self, operations: list[dict[str, Any]]) -> None:
        before = copy.deepcopy(self.work["spec"])
        for each in operations:
            patch(self.work, each)
        self.work["metadata"].pop("managedFields", None)
        self.work["metadata"]["generation"] += self.work["spec"] != before

    def says(self, generation: int, **conditions: str) -> None:
        applied = {"type": "Applied", "status": "True", "observedGeneration": generation}
        manifests = [
            {
                "resourceMeta": {"group": "", "resource": "configmaps", "namespace": "ns", "name": name},
                "conditions": [{"type": "Applied", "status": status, "message": "no"}],
            }
            for name, status in conditions.items()
        ]
        self.work["status"] = {"conditions": [applied], "resourceStatus": {"manifests": manifests}}

    @property
    def bundle(self) -> Bundle:
        seen = bundles.read(self.work)
        assert seen is not None
        assert seen.bundle is not None
        return seen.bundle

    @property
    def said(self) -> dict[str, Said]:
        seen = bundles.read(self.work)
        assert seen is not None
        return {key.name: part.said for key, part in seen.parts}

    @property
    def manifests(self) -> dict[str, str]:
        spec = self.work["spec"]
        order = [each["resourceIdentifier"]["name"] for each in spec["manifestConfigs"]]
        items = {each["metadata"]["name"]: each["data"]["a"] for each in spec["workload"]["manifests"]}
        assert list(items) == order == [each.what.name for each in self.bundle.entries]
        return items

    def id(self, name: str) -> str:
        return next(each.id for each in self.bundle.entries if each.what.name == name)


def a_bundle(name: str, *sizes: int, **changes: Any) -> Bundle:
    entries = [Entry(f"1.{at}", "configmaps", f"ns/{at}", "", "", "d", 1, size) for at, size in enumerate(sizes)]
    return Bundle(name, "u", 1, 1, 2, tuple(entries), **changes)


def test_new_objects_go_to_the_first_work_with_room_and_else_to_new_ones() -> None:
    there = [
        a_bundle("bundle-10", 10),
        a_bundle("bundle-2", 900),
        a_bundle("bundle-1", 10, deleting=True),
        a_bundle("bundle-3", 10, noted=True),
    ]
    pieces = [a_piece("a"), a_piece("b"), a_piece("c", size=880), a_piece("d", size=500)]
    placed, left = bundles.assign(there, pieces, 1_000)
    found = {name: [each.key.name for each in some] for name, some in placed.items()}
    assert found == {"bundle-2": ["a"], "bundle-10": ["b", "c"]}
    assert [each.key.name for each in left] == ["d"]
    filled = bundles.filled([a_piece(each, size=400) for each in "abcde"], 1_000)
    assert [[each.key.name for each in some] for some in filled] == [["a", "b"], ["c", "d"], ["e"]]


def test_a_work_has_so_many_objects_and_no_more() -> None:
    full = a_bundle("bundle-1", *[1] * (bundles.MOST - 1))
    placed, left = bundles.assign([full], [a_piece("a"), a_piece("b")], 10**6)
    assert [len(some) for some in (placed["bundle-1"], left)] == [1, 1]
    many = [a_piece(str(number), size=1) for number in range(bundles.MOST + 1)]
    assert [len(some) for some in bundles.filled(many, 10**6)] == [bundles.MOST, 1]


def test_names_are_the_same_again_and_fill_holes() -> None:
    first, second = bundles.name(MANAGER, ()), bundles.name(MANAGER, {bundles.name(MANAGER, ())})
    assert (first[-2:], second[-2:]) == ("-1", "-2")
    assert bundles.name(MANAGER, {second}) == first
    assert bundles.name("kubefed-other", ()) != first


def test_an_edit_sends_what_changes_and_no_more() -> None:
    hub = Hub(*(a_piece(name) for name in "abcd"))
    change = Change((a_piece("b", "2"), a_piece("e")), {hub.id("a"): "its object is deleted", hub.id("c"): "x"})
    sent = str(bundles.edit(hub.bundle, change).operations)
    assert "'name': 'd'" not in sent
    after = hub.carry_out(change)
    assert hub.manifests == {"b": "2", "d": "1", "e": "1"}
    assert [each.id for each in after.entries] == ["1.1", "1.3", "2.1"]
    assert [each.since for each in after.entries] == [2, 1, 2]
    taken = bundles.taken_out(hub.work["metadata"]["annotations"])
    assert {what.name: why for what, why in taken.items()} == {"a": "its object is deleted", "c": "x"}
    assert hub.bundle.intact


def test_an_edit_is_for_one_generation_alone() -> None:
    hub = Hub(a_piece("a"))
    edit = bundles.edit(hub.bundle, Change((a_piece("b"),)))
    hub.work["metadata"]["generation"] = 2
    with pytest.raises(ValueError, match="test failed"):
        hub.send(edit.operations)


def test_a_line_is_of_the_generation_that_has_brought_its_manifest() -> None:
    hub = Hub(a_piece("a"), a_piece("b"))
    hub.says(1, a="True", b="False")
    assert hub.said == {"a": Said.APPLIED, "b": Said.FAILED}
    hub.carry_out(Change((a_piece("b", "2"),)))
    assert hub.said == {"a": Said.APPLIED, "b": Said.NOTHING}  # a has not changed
    hub.says(2, a="True", b="True")
    assert hub.said == {"a": Said.APPLIED, "b": Said.APPLIED}
    hub.says(3, a="True", b="True")  # of a generation that a restored hub does not have
    assert hub.said == {"a": Said.NOTHING, "b": Said.NOTHING}


def test_what_was_taken_out_is_there_until_its_agent_names_it_no_more() -> None:
    hub = Hub(a_piece("a"), a_piece("b"))
    hub.says(1, a="True", b="True")
    hub.carry_out(Change(takes={hub.id("a"): "x"}))

    def leaving() -> list[str]:
        seen = bundles.read(hub.work)
        assert seen is not None
        return [key.name for key, part in seen.parts if part.deleting]

    assert leaving() == ["a"]
    hub.says(2, a="True", b="True")
    assert leaving() == ["a"]
    hub.says(2, b="True")
    assert leaving() == []
    hub.carry_out(Change((a_piece("c"),)))
    assert hub.work["metadata"]["annotations"][TAKEN] == "[]"


def test_one_that_comes_again_is_another_one() -> None:
    hub = Hub(a_piece("a"), a_piece("b"))
    before = hub.id("a")
    hub.carry_out(Change(takes={before: "x"}))
    hub.says(2, b="True")
    hub.carry_out(Change((a_piece("a"),)))
    assert hub.id("a") != before
    assert hub.said["a"] is Said.NOTHING


def test_what_stays_is_named_until_it_is_gone() -> None:
    hub = Hub(a_piece("a"), a_piece("b"))
    assert hub.work["spec"]["deleteOption"] == {"propagationPolicy": "Foreground"}
    hub.carry_out(Change(stays=frozenset({hub.id("a")})))
    rule = {"group": "", "resource": "configmaps", "namespace": "ns", "name": "a"}
    option = {"propagationPolicy": "SelectivelyOrphan", "selectivelyOrphans": {"orphaningRules": [rule]}}
    assert hub.work["spec"]["deleteOption"] == option
    assert hub.bundle.entries[0].digest == ""  # who wants it after all writes it again
    hub.carry_out(Change(takes={hub.id("a"): "x"}))
    assert hub.work["spec"]["deleteOption"] == option
    hub.says(3, b="True")
    hub.carry_out(Change((a_piece("b", "2"),)))
    assert hub.work["spec"]["deleteOption"] == {"propagationPolicy": "Foreground"}
    assert bundles.removal(hub.bundle, [hub.id("b")])["propagationPolicy"] == "SelectivelyOrphan"


def test_what_somebody_has_changed_is_written_as_a_whole() -> None:
    hub = Hub(a_piece("a"), a_piece("b"), a_piece("c"))
    spec = hub.work["spec"]
    items = spec["workload"]["manifests"]
    spec["workload"]["manifests"] = [{**items[1], "data": {"a": "evil"}}, items[0], a_piece("x").manifest]
    hub.work["metadata"]["generation"] = 2
    before = hub.bundle
    assert not before.intact
    made = bundles.mend(before, spec, Change((a_piece("a", "2"),)))
    hub.send(made.operations)
    assert hub.manifests == {"a": "2", "b": "evil"}
    assert [each.digest for each in hub.bundle.entries] == ["digest-2", ""]  # b is to be written again
    assert hub.bundle.intact
    assert bundles.taken_out(hub.work["metadata"]["annotations"]) == {}


def test_a_work_whose_entries_cannot_be_read_is_broken_and_shows_nothing() -> None:
    hub = Hub(a_piece("a"))
    hub.work["metadata"]["annotations"][names.OBJECTS_ANNOTATION] = '[["1.0"]]'
    seen = bundles.read(hub.work)
    assert seen is not None
    assert names.OBJECTS_ANNOTATION in seen.broken
    assert seen.shows == ()
    assert bundles.taken_out({TAKEN: "nonsense"}) == {}


def test_one_object_alone_as_fedctl_looks_at_it() -> None:
    hub = Hub(a_piece("a"), a_piece("b", "7"))
    hub.says(1, a="True", b="True")
    alone = bundles.alone(hub.work, "configmaps", ObjectName("ns", "b"))
    assert alone is not None
    assert alone["spec"]["workload"]["manifests"][0]["data"] == {"a": "7"}
    assert alone["metadata"]["uid"] == "u/1.1"
    assert alone["status"]["conditions"][0]["type"] == "Applied"
    assert bundles.alone(hub.work, "configmaps", ObjectName("ns", "c")) is None
    assert bundles.alone(hub.work, "secrets", ObjectName("ns", "b")) is None
