"""What is done about one object that works name."""

from typing import Any

import orjson
import pytest

from federation.model.works import AppliedResource, Identifier, Strategy, StrategyType
from federation.work import copies, deciding, parsing
from federation.work.copies import Copy, Owned, Record
from federation.work.deciding import Apply, Keep, Look, Refuse, Wait, Wish

AGENT = "agent"
UPDATE = Strategy()
WHAT = Identifier("", "configmaps", "n", "c")


def wish(
    work: str = "w", data: str = "1", *, strategy: Strategy = UPDATE, created: str = "1", has: bool = False
) -> Wish:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {"k": data}}
    manifest = parsing.read(work, orjson.dumps({"workload": {"manifests": [body]}})).manifests[0]
    return Wish(work, (not has, created, work), manifest, strategy, {"uid": f"amw-{work}", "name": work})


def decide(mine: Wish, copy: Copy | None = None, record: Record | None = None, *others: Wish, **more: Any) -> Any:
    return deciding.decide([mine, *others], mine, copy, record, agent=AGENT, **more)


def applied(mine: Wish, *others: Wish) -> tuple[Copy, Record]:
    """The object as our apply leaves it, and the record of that."""
    action = decide(mine, None, None, *others)
    owners = tuple(each["uid"] for each in orjson.loads(action.content)["metadata"]["ownerReferences"])
    owned = (Owned(mine.strategy.manager, "fields", 5),)
    copy = Copy("uid", 7, owners=owners, hash=mine.manifest.digest, owned=owned)
    return copy, copies.record(action.digest, copy, mine.strategy.manager)


def test_an_absent_object_is_applied_with_our_marks() -> None:
    action = decide(wish())
    assert isinstance(action, Apply)
    metadata = orjson.loads(action.content)["metadata"]
    assert metadata["labels"] == {"work.kubefed.io/agent": AGENT}
    assert metadata["annotations"] == {"open-cluster-management.io/object-hash": wish().manifest.digest}
    assert metadata["ownerReferences"] == [{"uid": "amw-w", "name": "w"}]
    assert action.force
    assert action.manager == "work-agent"


def test_an_object_as_it_was_applied_is_kept() -> None:
    copy, record = applied(wish())
    assert decide(wish(), copy, record) == Keep()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"owned": (Owned("work-agent", "other", 5),)}, id="a-field-was-taken"),
        pytest.param({"owned": (Owned("work-agent", "fields", 6),)}, id="restored-with-older-values"),
        pytest.param({"owned": ()}, id="our-entry-is-gone"),
        pytest.param({"uid": "another"}, id="created-anew"),
        pytest.param({"hash": "older"}, id="of-a-member-that-was-restored"),
    ],
)
def test_drift_is_repaired(changed: dict[str, Any]) -> None:
    copy, record = applied(wish())
    drifted = Copy(**{**{name: getattr(copy, name) for name in copy.__struct_fields__}, **changed})
    assert isinstance(decide(wish(), drifted, record), Apply)


def test_another_content_is_applied() -> None:
    copy, record = applied(wish())
    assert isinstance(decide(wish(data="2"), copy, record), Apply)


def test_without_a_record_it_is_applied_again() -> None:
    copy, _ = applied(wish())
    assert isinstance(decide(wish(), copy, None), Apply)


def test_what_may_be_older_than_the_object_does_not_overwrite_it() -> None:
    copy, _ = applied(wish(data="2"))
    assert decide(wish(data="1"), copy, None, newer=True) == Keep()
    assert isinstance(decide(wish(data="2"), copy, None, newer=True), Apply)


def test_nothing_is_written_while_it_is_being_deleted_or_unreadable() -> None:
    assert isinstance(decide(wish(), Copy("uid", 1, deleting=True)), Wait)
    assert isinstance(decide(wish(), Copy("uid", 1, broken="it nests deep")), Wait)


def test_create_only_leaves_what_exists_but_for_the_owner() -> None:
    mine = wish(strategy=Strategy(StrategyType.CREATE_ONLY))
    action = decide(mine)
    assert action.create_only
    assert "data" not in orjson.loads(action.marks)
    assert orjson.loads(action.marks)["metadata"]["ownerReferences"]
    assert decide(mine, Copy("uid", 1, owners=("amw-w",))) == Keep()
    assert decide(mine, Copy("uid", 1)).create_only


def test_read_only_is_looked_at() -> None:
    assert decide(wish(strategy=Strategy(StrategyType.READ_ONLY))) == Look()


def test_of_two_works_the_older_decides_and_equal_ones_share() -> None:
    old, new = wish("a", created="1"), wish("b", created="2")
    action = decide(new, None, None, old)
    assert [each["uid"] for each in orjson.loads(action.content)["metadata"]["ownerReferences"]] == ["amw-a", "amw-b"]
    assert action.content == decide(old, None, None, new).content
    differs = wish("b", "2", created="2")
    assert isinstance(decide(differs, None, None, old), Refuse)
    assert isinstance(decide(old, None, None, differs), Apply)


def test_a_work_that_has_an_object_keeps_it() -> None:
    has, older = wish("b", "1", created="2", has=True), wish("a", "2", created="1")
    assert isinstance(decide(older, None, None, has), Refuse)
    assert isinstance(decide(has, None, None, older), Apply)


def test_works_with_field_managers_of_their_own_share_an_object() -> None:
    one = wish("a", "1", strategy=Strategy(StrategyType.SERVER_SIDE_APPLY, "work-agent-a", force=False))
    two = wish("b", "2", strategy=Strategy(StrategyType.SERVER_SIDE_APPLY, "work-agent-b", force=False), created="2")
    assert decide(two, None, None, one).manager == "work-agent-b"
    assert not decide(two, None, None, one).force


def test_with_a_field_manager_of_its_own_an_object_has_no_hash_that_others_would_conflict_with() -> None:
    mine = wish(strategy=Strategy(StrategyType.SERVER_SIDE_APPLY, "work-agent-x"))
    assert "annotations" not in orjson.loads(decide(mine).content)["metadata"]
    copy, record = applied(mine)
    shared = Copy(**{**{name: getattr(copy, name) for name in copy.__struct_fields__}, "hash": "of another work"})
    assert decide(mine, shared, record) == Keep()
    later = (Owned("work-agent-x", "fields", 9),)
    newer = Copy(**{**{name: getattr(shared, name) for name in copy.__struct_fields__}, "owned": later})
    assert decide(mine, newer, record, newer=True) == Keep()
    assert isinstance(decide(mine, newer, record), Apply)


def test_ignored_fields_are_in_the_creation_and_not_in_what_follows() -> None:
    present = Strategy(StrategyType.SERVER_SIDE_APPLY, ignored_when_present=(("data", "k"),))
    mine = wish(strategy=present)
    for copy in (None, Copy("uid", 1)):  # what has not our label may be there already
        action = decide(mine, copy)
        assert "data" not in orjson.loads(action.content)
        assert orjson.loads(action.whole)["data"] == {"k": "1"}
        assert action.ignored == (("data", "k"),)


def test_fields_that_are_ignored_when_changed_are_applied_with_another_manifest_only() -> None:
    changed = Strategy(StrategyType.SERVER_SIDE_APPLY, ignored_when_changed=(("data", "k"),))
    mine = wish(strategy=changed)
    copy, record = applied(mine)
    drifted = Copy(copy.uid, 9, owners=copy.owners, hash=copy.hash)
    assert "data" not in orjson.loads(decide(mine, drifted, record).content)
    assert orjson.loads(decide(wish(data="2", strategy=changed), drifted, record).content)["data"] == {"k": "2"}


def test_whose_an_object_is() -> None:
    resource = AppliedResource(WHAT, "v1", "uid")
    assert deciding.is_ours(Copy("uid", 1), resource, "amw")
    assert deciding.is_ours(Copy("other", 1, owners=("amw",)), resource, "amw")
    assert not deciding.is_ours(Copy("other", 1, owners=("another",)), resource, "amw")
    assert not deciding.is_ours(Copy("other", 1), AppliedResource(WHAT, "v1"), "")


def test_what_is_named_no_more_is_unwanted_unless_its_manifest_cannot_be_read() -> None:
    other = Identifier("", "configmaps", "n", "d")
    before = [AppliedResource(WHAT, "v1", "1"), AppliedResource(other, "v1", "2")]
    assert deciding.unwanted(before, [WHAT], []) == (before[1],)
    assert deciding.unwanted(before, [WHAT], [Identifier("", "ConfigMap", "n", "d")]) == ()
