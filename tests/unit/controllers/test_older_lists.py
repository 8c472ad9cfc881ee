"""A list, or an event, that is older than the answer to our own write is no drift; a member gone back in time is."""

import asyncio
from typing import cast

from structlog.testing import capture_logs

from federation.controllers.membertriggers import CopiesSink
from federation.core.managedfields import PartialMetadata
from tests.fakes import FakeMember
from tests.unit.controllers.rig import CONFIGMAPS, WEB, Rig
from tests.unit.virtualtime import settle, virtual

TARGET = CONFIGMAPS.target


def sink_of(fake: FakeMember) -> CopiesSink:
    return cast("CopiesSink", fake.sinks[TARGET.qualified])


def a_list(fake: FakeMember) -> list[PartialMetadata]:
    """What a list of this moment contains."""
    return [stored.metadata() for (what, _), stored in fake.objects.items() if what == TARGET.qualified]


@virtual
async def test_a_list_from_before_our_update() -> None:
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        fake = rig.members["m1"]
        fake.delay_events = True
        sink_of(fake).listing()
        older = a_list(fake)
        rig.put(template={"data": {"a": "c", "more": "d"}})
        await settle()
        rig.quiet()
        with capture_logs() as logs:
            sink_of(fake).replace(older)
            await asyncio.sleep(5)
            fake.delay_events = False
            fake.deliver()
            await asyncio.sleep(60)
        assert rig.asked == {}
        assert [entry for entry in logs if entry["event"] == "drift put back"] == []
        assert not rig.track().contention


@virtual
async def test_a_list_from_before_our_create() -> None:
    async with Rig("m1") as rig:
        fake = rig.members["m1"]
        fake.delay_events = True
        sink_of(fake).listing()
        older = a_list(fake)
        rig.put()
        await settle()
        rig.quiet()
        sink_of(fake).replace(older)
        await asyncio.sleep(60)
        assert (rig.asked, rig.lines()) == ({}, {"m1": ""})


@virtual
async def test_a_list_that_was_asked_for_after_our_write_is_believed() -> None:
    """It lacks what we wrote, or shows it as it was: somebody deleted it, or the member was restored from a backup."""
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        fake = rig.members["m1"]
        older = a_list(fake)
        rig.put(template={"data": {"a": "c", "more": "d"}})
        await settle()
        for listed in ([], older):
            rig.quiet()
            sink_of(fake).listing()
            sink_of(fake).replace(listed)
            await asyncio.sleep(60)
            assert rig.asked["m1"][0] == "apply ns/web"


@virtual
async def test_a_list_that_wrongly_leaves_out_a_copy_costs_one_apply() -> None:
    """The answer to it shows the copy as it was, which is older than the list, and there all the same."""
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        fake = rig.members["m1"]
        newest = a_list(fake)[0].resource_version
        rig.quiet()
        sink_of(fake).listing()
        sink_of(fake).listed(str(int(newest) + 100))
        sink_of(fake).replace([])
        await asyncio.sleep(3600)
        assert [each for each in rig.asked["m1"] if each.startswith("apply")] == ["apply ns/web"]
        assert rig.lines() == {"m1": ""}


@virtual
async def test_the_deletion_of_what_we_have_made_anew_since() -> None:
    """The events of an object that was deleted and of the one that we made in its place come late."""
    async with Rig("m1") as rig:
        rig.put()
        await settle()
        fake = rig.members["m1"]
        fake.delay_events = True
        fake.remove(TARGET, WEB)
        events = [item for _, _, item in fake._delayed]
        fake.delay_events = False
        fake.deliver()
        await settle()
        assert rig.data("m1") == "b"
        rig.quiet()
        for event in events:
            sink_of(fake).remove(event)
            await settle()
        assert (rig.asked, rig.lines()) == ({}, {"m1": ""})
