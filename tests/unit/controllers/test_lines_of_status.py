"""From a plan and what came of it to status.clusters[]: words, generations, and what is not known is not a change."""

import asyncio
from typing import Any

import pytest

from federation.controllers import lines, pacing
from federation.controllers.tracks import Setback, Track
from federation.model.conditions import PropagationStatus
from federation.model.observations import Applied
from federation.model.plan import Action, Apply, Claim, Delete, Keep, Plan, Refuse, Release, Wait
from federation.model.status import ClusterStatus, Status
from tests.unit.controllers.rig import Rig
from tests.unit.virtualtime import settle, virtual

CREATE = Apply(b"{}", "digest", "v1")
UPDATE = Apply(b"{}", "digest", "v1", uid="u1")
PENDING = Wait(PropagationStatus.PENDING, "not listed yet")
CLAIM = Claim("u1", "kubefed-99999999")
HELD = "another hub manages it (kubefed-99999999)"
HEALTHY = ClusterStatus("m1", fingerprint="old.entry")
FAILED = Setback(PropagationStatus.UPDATE_FAILED, "quota", "digest", 1e9)


def track(action: Action, before: ClusterStatus | None = None, observed: int = 7, **facts: Any) -> Track:
    stored = Status(observed, clusters=(before,) if before is not None else ())
    return Track("u", stored, facts.pop("applied", {}), Plan(7, {"m1": action}), {"m1": action}, **facts)


@pytest.mark.parametrize(
    ("one", "late", "line"),
    [
        pytest.param(
            track(Keep("digest", "entry")), False, ClusterStatus("m1", fingerprint="digest.entry"), id="healthy"
        ),
        pytest.param(
            track(Keep("digest", "entry"), setbacks={"m1": FAILED}),
            False,
            ClusterStatus("m1", fingerprint="digest.entry"),
            id="healthy-after-a-failure",
        ),
        pytest.param(
            track(Keep("digest", "entry", ("kubefed-99999999",))),
            False,
            ClusterStatus(
                "m1",
                message="another hub places it here, too (kubefed-99999999); it writes nothing while this hub has it",
                fingerprint="digest.entry",
            ),
            id="healthy-and-claimed",
        ),
        pytest.param(
            track(Keep("digest", "entry", ("kubefed-88888888", "kubefed-99999999"))),
            False,
            ClusterStatus(
                "m1",
                message="other hubs place it here, too (kubefed-88888888, kubefed-99999999); "
                "they write nothing while this hub has it",
                fingerprint="digest.entry",
            ),
            id="healthy-and-claimed-twice",
        ),
        pytest.param(
            track(CLAIM), False, ClusterStatus("m1", PropagationStatus.ALREADY_EXISTS, HELD), id="another-hubs"
        ),
        pytest.param(
            track(CLAIM, setbacks={"m1": Setback(PropagationStatus.UPDATE_FAILED, "quota", "claim u1", 1e9)}),
            True,
            ClusterStatus("m1", PropagationStatus.ALREADY_EXISTS, f"{HELD}; our claim could not be written: quota"),
            id="another-hubs-that-cannot-be-claimed",
        ),
        pytest.param(
            track(CLAIM, setbacks={"m1": FAILED}),
            False,
            ClusterStatus("m1", PropagationStatus.ALREADY_EXISTS, HELD),
            id="another-hubs-whatever-failed-before",
        ),
        pytest.param(
            track(CREATE), False, ClusterStatus("m1", PropagationStatus.PENDING, lines.ON_ITS_WAY), id="on-its-way"
        ),
        pytest.param(
            track(CREATE),
            True,
            ClusterStatus("m1", PropagationStatus.CREATION_TIMED_OUT, lines.ON_ITS_WAY),
            id="create-late",
        ),
        pytest.param(
            track(UPDATE, applied={"m1": Applied("old", "entry", 6)}),
            True,
            ClusterStatus("m1", PropagationStatus.UPDATE_TIMED_OUT, lines.ON_ITS_WAY, 6, "old.entry.0"),
            id="update-late-shows-what-it-has",
        ),
        pytest.param(
            track(UPDATE, setbacks={"m1": FAILED}),
            True,
            ClusterStatus("m1", PropagationStatus.UPDATE_FAILED, "quota"),
            id="a-failure-says-more-than-lateness",
        ),
        pytest.param(
            track(Delete("u1")),
            False,
            ClusterStatus("m1", PropagationStatus.WAITING_FOR_REMOVAL),
            id="delete-on-its-way",
        ),
        pytest.param(
            track(Release("u1")),
            True,
            ClusterStatus("m1", PropagationStatus.DELETION_TIMED_OUT, lines.ON_ITS_WAY),
            id="release-late",
        ),
        pytest.param(
            track(Refuse(PropagationStatus.APPLY_OVERRIDES_FAILED, "no such path")),
            False,
            ClusterStatus("m1", PropagationStatus.APPLY_OVERRIDES_FAILED, "no such path"),
            id="refused",
        ),
        pytest.param(
            track(
                Wait(PropagationStatus.CLUSTER_NOT_READY, "down"), HEALTHY, applied={"m1": Applied("old", "entry", 6)}
            ),
            False,
            ClusterStatus("m1", PropagationStatus.CLUSTER_NOT_READY, "down", 6, "old.entry.0"),
            id="not-ready-shows-what-it-has",
        ),
        pytest.param(
            track(PENDING),
            False,
            ClusterStatus("m1", PropagationStatus.PENDING, "not listed yet"),
            id="new-and-pending",
        ),
        pytest.param(
            track(PENDING, HEALTHY, applied={"m1": Applied("old", "entry", 7)}),
            False,
            HEALTHY,
            id="pending-keeps-its-line",
        ),
        pytest.param(
            track(PENDING, HEALTHY, applied={"m1": Applied("old", "entry", 6)}),
            False,
            ClusterStatus("m1", generation=6, fingerprint="old.entry"),
            id="pending-does-not-claim-another-generation",
        ),
        pytest.param(
            track(PENDING, ClusterStatus("m1"), observed=6),
            False,
            ClusterStatus("m1", generation=6),
            id="nor-without-a-fingerprint",
        ),
        pytest.param(
            track(PENDING, ClusterStatus("m1", PropagationStatus.UPDATE_FAILED, "quota")),
            False,
            ClusterStatus("m1", PropagationStatus.PENDING, "not listed yet"),
            id="pending-after-a-failure",
        ),
    ],
)
def test_lines(one: Track, late: bool, line: ClusterStatus) -> None:
    assert one.plan is not None
    assert lines.compose(one.plan, one, late=late) == [line]


def test_a_line_that_is_kept_repeats_what_it_referred_to() -> None:
    """Equal messages are stored once; the line that has the text may have another text by now."""
    stored = (ClusterStatus("m1", message="claimed", fingerprint="d.e"), ClusterStatus("m2", message="same as m1"))
    one = track(Keep("d", "e"))
    one.status = Status(7, clusters=stored)
    one.actions["m2"] = PENDING
    assert one.plan is not None
    assert [line.message for line in lines.compose(one.plan, one, late=False)] == ["", "claimed"]


@pytest.mark.parametrize(
    ("one", "answered"),
    [
        pytest.param(track(Keep("d", "e")), True, id="kept"),
        pytest.param(track(UPDATE, pending={"m1"}), False, id="under-way"),
        pytest.param(track(UPDATE, setbacks={"m1": FAILED}), True, id="failed"),
        pytest.param(track(PENDING), False, id="pending"),
        pytest.param(track(PENDING, setbacks={"m1": FAILED}), True, id="pending-after-a-failure"),
        pytest.param(track(Wait(PropagationStatus.CLUSTER_NOT_READY)), True, id="not-ready"),
        pytest.param(track(Delete("u1"), leaving={"m1": ("u1", 0.0)}), False, id="not-confirmed"),
    ],
)
def test_all_answered(one: Track, answered: bool) -> None:
    assert lines.all_answered(one) is answered


@virtual
async def test_a_restart_does_not_call_ready_what_nobody_has_asked_yet() -> None:
    """The object changed while no controller ran, and its cluster has not been probed."""
    async with Rig("m1") as rig:
        rig.put()
        await settle()
    rig.put(template={"data": {"a": "c"}})
    async with Rig("m1", after=rig, ready=None) as again:
        await asyncio.sleep(5)
        assert again.condition("Ready")["status"] == "False"
        assert again.condition("Ready")["reason"] == "Progressing"
        again.see("m1", ready=True)
        await asyncio.sleep(1)
        assert again.condition("Ready")["status"] == "True"
        assert again.data("m1") == "c"


NEVER = pacing.RETRY["never"]


@pytest.mark.parametrize(
    ("one", "stalled"),
    [
        pytest.param(
            track(Refuse(PropagationStatus.APPLY_OVERRIDES_FAILED, "no /x")), True, id="an-override-that-does-not-fit"
        ),
        pytest.param(
            track(
                UPDATE, setbacks={"m1": Setback(PropagationStatus.UPDATE_FAILED, "invalid", "digest", 1e9, 1, NEVER)}
            ),
            True,
            id="refused-as-invalid",
        ),
        pytest.param(
            track(
                UPDATE, setbacks={"m1": Setback(PropagationStatus.UPDATE_FAILED, "invalid", "before", 1e9, 1, NEVER)}
            ),
            False,
            id="another-manifest-was-refused",
        ),
        pytest.param(
            track(
                Keep("digest", "entry"),
                setbacks={"m1": Setback(PropagationStatus.UPDATE_FAILED, "", "digest", 1e9, 1, NEVER)},
            ),
            False,
            id="reached-in-the-end",
        ),
        pytest.param(
            track(
                UPDATE,
                setbacks={
                    "m1": Setback(PropagationStatus.UPDATE_FAILED, "quota", "digest", 1e9, 1, pacing.RETRY["slow"])
                },
            ),
            False,
            id="refused-for-now",
        ),
        pytest.param(track(Wait(PropagationStatus.VERSION_UNAVAILABLE, "not served")), False, id="a-crd-still-to-come"),
        pytest.param(track(Wait(PropagationStatus.CLUSTER_NOT_READY)), False, id="away"),
        pytest.param(track(CREATE), False, id="on-its-way"),
    ],
)
def test_stalled_is_what_only_another_object_can_help(one: Track, stalled: bool) -> None:
    assert lines.stalled(one) == (frozenset({"m1"}) if stalled else frozenset())
