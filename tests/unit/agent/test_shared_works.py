"""Works that a controller of this project has written for several objects: what leaves them, and what does not."""

from typing import Any

import orjson

from federation.model.bundles import Entry, Taken
from federation.model.failures import Failure, FailureKind
from federation.model.works import DELETED_ANNOTATION, HELD_ANNOTATION, HUB_LABEL, TAKEN_ANNOTATION
from tests.unit.agent.test_membership import MAPS, WORKS, Pair, config_map, pair

__all__ = ["pair"]
PATH = f"{WORKS}/w"


def taken(*names: str) -> dict[str, Any]:
    items = [Taken(Entry(f"1.{each}", "configmaps", f"n/{each}", "", "", "x", 1, 10), 2, "because") for each in names]
    encoded = orjson.dumps([[list(_values(each.entry)), each.generation, each.why] for each in items]).decode()
    return {"metadata": {"annotations": {TAKEN_ANNOTATION: encoded}}}


def _values(entry: Entry) -> list[Any]:
    return [getattr(entry, name) for name in entry.__struct_fields__]


async def share(pair: Pair, *names: str) -> None:
    pair.work("w", *(config_map(each) for each in names))
    pair.hub.put(PATH, {"metadata": {"labels": {HUB_LABEL: "kubefed-0123abcd"}}})
    await pair.applied("w")
    await pair.rest()


def held(pair: Pair) -> str:
    return str((pair.record("w") or {"metadata": {}})["metadata"].get("annotations", {}).get(HELD_ANNOTATION, ""))


async def test_what_is_taken_out_goes_and_nothing_else_is_written_or_read(pair: Pair) -> None:
    await share(pair, "a", "b", "c")
    pair.hub.put(PATH, taken("a"))
    await pair.rest()
    before = len(pair.member.writes)
    pair.work("w", config_map("b"), config_map("c", "2"))
    await pair.until(lambda: pair.map("a") is None, "a gone")
    await pair.until(lambda: pair.map("c")["data"] == {"k": "2"}, "c changed")
    await pair.rest()
    touched = [write for write in pair.member.writes[before:] if MAPS in str(write)]
    assert len(touched) == 2
    assert not any(f"{MAPS}/b" in str(write) for write in touched)
    assert not held(pair)


async def test_what_is_missing_without_a_note_is_held_and_comes_back_as_it_was(pair: Pair) -> None:
    await share(pair, "a", "b")
    uid = pair.map("a")["metadata"]["uid"]
    pair.work("w", config_map("b"))
    await pair.until(lambda: "does not name some of its objects" in held(pair), "held")
    assert pair.map("a")["metadata"]["uid"] == uid
    pair.work("w", config_map("b"), config_map("a", "2"))
    await pair.until(lambda: pair.map("a")["data"] == {"k": "2"}, "applied again")
    await pair.until(lambda: not held(pair), "not held any more")
    assert pair.map("a")["metadata"]["uid"] == uid


async def test_what_is_held_stays_when_the_work_is_deleted(pair: Pair) -> None:
    await share(pair, "a", "b")
    uid = pair.map("a")["metadata"]["uid"]
    pair.work("w", config_map("b"))
    await pair.until(lambda: held(pair), "held")
    pair.hub.put(PATH, {"metadata": {"annotations": {DELETED_ANNOTATION: "its object is deleted"}}})
    pair.hub.delete(PATH)
    await pair.until(lambda: pair.hub.get(PATH) is None, "the work is gone")
    assert pair.map("b") is None
    assert pair.map("a")["metadata"]["uid"] == uid
    assert not pair.map("a")["metadata"].get("ownerReferences")


async def test_what_is_held_is_another_works_once_that_names_it(pair: Pair) -> None:
    await share(pair, "a", "b")
    uid = pair.map("a")["metadata"]["uid"]
    pair.work("w", config_map("b"))
    await pair.until(lambda: held(pair), "held")
    pair.work("other", config_map("a", "2"))
    await pair.applied("other")
    await pair.until(lambda: not held(pair), "not held any more")
    assert pair.map("a")["metadata"]["uid"] == uid
    owners = [each["uid"] for each in pair.map("a")["metadata"]["ownerReferences"]]
    assert owners == [pair.record("other")["metadata"]["uid"]]


async def test_one_that_does_not_go_is_named_until_it_is_gone(pair: Pair) -> None:
    await share(pair, "a", "b")
    pair.member.put(f"{MAPS}/a", {"metadata": {"finalizers": ["example.io/slow"]}})
    pair.hub.put(PATH, taken("a"))
    pair.work("w", config_map("b"))

    def reported() -> list[tuple[str, str]]:
        manifests = (pair.hub.get(PATH) or {})["status"]["resourceStatus"]["manifests"]
        return [(each["resourceMeta"]["name"], each["conditions"][0]["type"]) for each in manifests]

    await pair.until(lambda: reported() == [("b", "Applied"), ("a", "Deleting")], "named")
    assert pair.said("w")["status"] == "True"
    pair.member.objects[f"{MAPS}/a"]["metadata"]["finalizers"] = []
    pair.member.delete(f"{MAPS}/a")
    await pair.until(lambda: reported() == [("b", "Applied")], "gone")


async def test_one_that_stays_loses_our_marks_and_the_others_go_on(pair: Pair) -> None:
    await share(pair, "a", "b")
    rule = {"group": "", "resource": "configmaps", "namespace": "n", "name": "a"}
    option = {"propagationPolicy": "SelectivelyOrphan", "selectivelyOrphans": {"orphaningRules": [rule]}}
    pair.work("w", config_map("a"), config_map("b"), deleteOption=option)
    await pair.rest()
    pair.hub.put(PATH, taken("a"))
    pair.work("w", config_map("b"), deleteOption=option)
    await pair.until(lambda: not pair.map("a")["metadata"].get("labels"), "let go of")
    await pair.until(
        lambda: [each["name"] for each in pair.record("w")["status"]["appliedResources"]] == ["b"], "record"
    )
    assert not pair.map("a")["metadata"].get("ownerReferences")
    pair.member.put(f"{MAPS}/b", {"data": {"k": "somebody"}})
    await pair.until(lambda: pair.map("b")["data"] == {"k": "1"}, "repaired")


async def test_one_at_which_the_member_fails_holds_back_no_other(pair: Pair) -> None:
    await share(pair, "a", "b")
    pair.member.refuse["b"] = Failure(FailureKind.UNAVAILABLE, "500: got itself in trouble", 500)
    pair.hub.put(PATH, taken("a"))
    pair.work("w", config_map("b", "2"), config_map("c"))
    await pair.until(lambda: pair.map("a") is None, "a gone")
    await pair.until(lambda: pair.map("c") is not None, "c applied")
    await pair.until(lambda: pair.said("w").get("status") == "False", "reported")
    manifests = (pair.hub.get(PATH) or {})["status"]["resourceStatus"]["manifests"]
    said = {each["resourceMeta"]["name"]: each["conditions"][0]["status"] for each in manifests}
    assert said == {"b": "False", "c": "True"}
    del pair.member.refuse["b"]
    await pair.until(lambda: pair.map("b")["data"] == {"k": "2"}, "b applied")
    await pair.applied("w")
