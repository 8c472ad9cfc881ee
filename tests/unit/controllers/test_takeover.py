"""An object that is there already: taken over always, where nothing differs, or never."""

import asyncio
from typing import Any

import pytest

from federation.model import marks
from federation.model.federated import FederatedType
from federation.model.policies import Deletion, Policies, Takeover
from federation.model.resources import SECRETS, Resource
from tests.unit.controllers.rig import CONFIGMAPS, GROUP, WEB, Rig
from tests.unit.virtualtime import virtual

TARGET = CONFIGMAPS.target
FEDERATED_SECRETS = FederatedType(
    "secrets", SECRETS, Resource(GROUP, "v1beta1", "FederatedSecret", "federatedsecrets", namespaced=True)
)
WRITES = ("apply", "patch", "delete")
IF_NO_DIFF = {marks.TAKEOVER_ANNOTATION: "IfNoDiff"}


def said(rig: Rig, enabled: FederatedType = CONFIGMAPS) -> tuple[str, str]:
    (line,) = (rig.stored(enabled=enabled) or {})["status"]["clusters"]
    return line.get("status", ""), line.get("message", "")


def written(rig: Rig) -> list[str]:
    return [call for call in rig.members["m1"].calls if call.startswith(WRITES)]


@virtual
async def test_what_differs_is_named_and_nothing_is_written() -> None:
    async with Rig("m1") as rig:
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "theirs", "own": "x"}})
        before = rig.members["m1"].objects[TARGET.qualified, WEB].version
        rig.put(metadata={"annotations": IF_NO_DIFF})
        await asyncio.sleep(600)
        status, message = said(rig)
        assert status == "AlreadyExists"
        assert message.endswith('leaves it alone because these fields differ: .data.a (set by "human")')
        assert rig.members["m1"].objects[TARGET.qualified, WEB].version == before
        assert rig.data("m1") == "theirs"
        asked = rig.members["m1"].calls
        assert {call.split()[0] for call in asked} == {"apply", "read", "whole", "would-apply"}
        assert len(asked) < 80, "at growing intervals"
        # Somebody makes them equal: then it is ours.
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "b"}})
        await asyncio.sleep(301)
        assert said(rig) == ("", "")
        assert rig.members["m1"].value(TARGET, WEB, "data", "own") == "x"
        rig.put(template={"data": {"a": "c"}}, metadata={"annotations": IF_NO_DIFF})
        await asyncio.sleep(5)
        assert rig.data("m1") == "c"


@pytest.mark.parametrize("enabled", [CONFIGMAPS, FEDERATED_SECRETS], ids=["whole", "by-owners-alone"])
@pytest.mark.parametrize(
    ("theirs", "taken"),
    [
        pytest.param({"data": {"a": "b", "own": "x"}}, True, id="equal"),
        pytest.param({"data": {"a": "c"}}, False, id="another-value"),
        pytest.param({"data": {"other": "c"}}, False, id="a-field-is-missing"),
    ],
)
@virtual
async def test_taken_over_where_nothing_differs(enabled: FederatedType, theirs: Any, taken: bool) -> None:
    async with Rig("m1", types=(enabled,)) as rig:
        rig.members["m1"].post(enabled.target, WEB, theirs)
        rig.put(template={"data": {"a": "b"}}, enabled=enabled, metadata={"annotations": IF_NO_DIFF})
        await asyncio.sleep(5)
        label = rig.members["m1"].value(enabled.target, WEB, "metadata", "labels", marks.MANAGED_LABEL)
        assert (said(rig, enabled)[0], label) == (("", "true") if taken else ("AlreadyExists", None))
        assert "whole ns/web" not in rig.members["m1"].calls or enabled is CONFIGMAPS
        values = rig.members["m1"].objects[enabled.target.qualified, WEB].values
        kept = {path[1]: value for path, value in values.items() if path[0] == "data"}
        assert kept == theirs["data"]


@virtual
async def test_what_is_changed_between_the_look_and_the_apply_is_looked_at_again() -> None:
    async with Rig("m1") as rig:
        member = rig.members["m1"]
        member.post(TARGET, WEB, {"data": {"a": "b"}})

        def meanwhile(verb: str, name: object) -> None:
            if verb == "would-apply":
                member.lost = lambda verb, name: None
                member.post(TARGET, WEB, {"data": {"a": "just now"}})

        real = member._would_apply

        def would_apply(*arguments: Any, **named: Any) -> Any:
            answer = real(*arguments, **named)
            meanwhile("would-apply", None)
            return answer

        member._would_apply = would_apply  # type: ignore[method-assign]
        rig.put(metadata={"annotations": IF_NO_DIFF})
        await asyncio.sleep(60)
        assert rig.data("m1") == "just now"
        assert said(rig)[0] == "AlreadyExists"


@virtual
async def test_never_leaves_it_alone_and_creates_where_nothing_is() -> None:
    async with Rig("m1", "m2") as rig:
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "b"}})
        rig.put(metadata={"annotations": {marks.TAKEOVER_ANNOTATION: "Never"}})
        await asyncio.sleep(5)
        lines = {line["name"]: line for line in (rig.stored() or {})["status"]["clusters"]}
        assert lines["m1"]["status"] == "AlreadyExists"
        assert "policy takeover: Never leaves it alone" in lines["m1"]["message"]
        assert "status" not in lines["m2"]
        assert rig.data("m2") == "b"


@virtual
async def test_of_the_type_and_of_all() -> None:
    async with Rig("m1") as rig:
        rig.members["m1"].post(TARGET, WEB, {"data": {"a": "theirs"}})
        rig.world.settings = type(rig.world.settings)(namespaced=True, policies=Policies(takeover=Takeover.NEVER))
        rig.put()
        await asyncio.sleep(5)
        assert "policy takeover: Never" in said(rig)[1]
        rig.put(metadata={"annotations": {marks.TAKEOVER_ANNOTATION: "Always"}})
        await asyncio.sleep(5)
        assert (said(rig), rig.data("m1")) == (("", ""), "b")


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "not-placed-any-more"])
@virtual
async def test_orphaned_copies_stay_without_our_marks(deleted: bool) -> None:
    async with Rig("m1") as rig:
        annotations = {marks.DELETION_ANNOTATION: Deletion.ORPHAN.value}
        rig.put(metadata={"annotations": annotations})
        await asyncio.sleep(5)
        if deleted:
            rig.delete()
        else:
            rig.put(clusters=(), metadata={"annotations": annotations})
        await asyncio.sleep(30)
        stored = rig.members["m1"].objects[TARGET.qualified, WEB]
        assert rig.data("m1") == "b"
        assert not any(entry.manager.startswith("kubefed") for entry in stored.entries)
        assert rig.members["m1"].value(TARGET, WEB, "metadata", "labels", marks.MANAGED_LABEL) is None
        assert (rig.stored() is None) is deleted
        told = [event["message"] for event in rig.hub.events if event["reason"] == "CopyRemoved"]
        assert told == ([] if deleted else [told[0]])
        assert deleted or "policy deletion: Orphan leaves it behind" in told[0]
