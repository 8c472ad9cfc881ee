"""The same tests in push mode and in pull mode: `mode`, for all tests of a module, in one parameter.

Some run once more in pull mode, with works that many objects share.

A module takes part by `pytestmark = pytest.mark.usefixtures("mode")`. Its tests run with m1 and m2 joined, and then
again with both registered in pull mode, each served by an agent's process with the rights of its own service account.
They keep their names, and their APIs leave out an agent's own marks (`fleets.Marked`), so that a test need not know.
test_sync_config.py, test_sync_removal.py and test_sync_recreation.py take no part: adoption that is disabled, the
removal of namespaces and kubefed.io/recreate are not there in pull mode.

`PUSH_ALONE` names what pull mode does differently by design (docs/pull.md).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
import pytest_asyncio

from federation.joining import setup, unregistering
from federation.joining.contexts import Contexts
from federation.joining.errors import Refused
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import NAMESPACES
from federation.model.works import APPLIED_WORKS, MANIFEST_WORKS
from tests.clusters import registering
from tests.clusters.fleets import Fleet
from tests.clusters.harness import ENABLED, eventually
from tests.clusters.registering import Edge
from tests.clusters.steps import Unlike, cluster_condition, configure

PUSH, PULL, BUNDLED = "push", "pull", "bundled"
SHARING = {
    "test_sync_basics.py",
    "test_sync_deletion.py",
    "test_sync_drift.py",
    "test_sync_status.py",
    "test_sync_template.py",
}
"""Modules that run a third time, in pull mode with many objects in one work (spec.pull.bundleBytes)."""
BUNDLE_BYTES = 16_384
MORE = (
    "jobs.batch",
    "cronjobs.batch",
    "persistentvolumeclaims",
    "horizontalpodautoscalers.autoscaling",
    "clusterroles.rbac.authorization.k8s.io",
    "websites.demo.example.com",
    "tiers.tests.example.com",
    "ranks.tests.example.com",
    "gauges.collect.example.com",
)
"""What tests enable beside the usual types. An agent's rights are those of the types that it was registered with."""

_SPARED = "adoptResources: Disabled and takeover other than Always are refused"
_KUBEFED = "what KubeFed has written and the template does not name stays: an agent knows nothing of KubeFed"
_UNSEEN = "the hub sees of a copy what its work shows"
_UNMANAGED = "an agent does not know kubefed.io/managed: false"
_CORDONED = "an agent puts drift back in a cordoned cluster, too"
_NAMESPACE = "a namespace that is federated no more stays in the member"
_VERSIONS = "the hub does not know which versions the cluster serves: CreationFailed, not VersionUnavailable"
_COPIED = "labels and annotations of the host's Namespace are set when an agent creates it, and follow no change"
_REPORT = "policy drift: Report is refused"
_DISPUTE = "an agent puts back what somebody changes, and tells nobody at the hub"
_INVALID = "an agent goes on putting drift back while the federated object cannot be understood"
_STALLED = "a work does not show whether what its cluster refuses may pass: nothing is Stalled by that"
_DONE = "what has run is not applied again, not even our label, and the line does not say so"
_OPTIONS = "kubefed.io/deleteoption has no effect"
_HUBS = "what it shows is decided at the hub, of no cluster in pull mode"
PUSH_ALONE: dict[str, str] = {
    "test_deletion_budget.py::test_a_namespace_with_something_of_others_asks_and_an_empty_one_goes": _NAMESPACE,
    "test_deletion_budget.py::test_one_namespace_that_is_deleted_by_name_goes": _NAMESPACE,
    "test_deletion_budget.py::test_what_is_left_in_a_cluster_that_is_taken_out_is_offered_when_it_is_back": _UNSEEN,
    "test_staged_rollouts.py::test_a_cluster_that_joins_in_mid_run_waits_for_its_stage": _HUBS,
    "test_staged_rollouts.py::test_a_stage_that_makes_no_sense_is_refused": _HUBS,
    "test_sync_adoption.py::test_with_adoption_disabled_it_is_left_alone_and_told": _SPARED,
    "test_sync_adoption.py::test_with_adoption_disabled_what_is_ours_stays_ours": _SPARED,
    "test_sync_adoption.py::test_adoption_that_is_enabled_later_takes_over": _SPARED,
    "test_sync_adoption.py::test_an_existing_object_that_goes_makes_room": _SPARED,
    "test_sync_adoption.py::test_what_kubefed_made_is_taken_over": _KUBEFED,
    "test_sync_adoption.py::test_a_services_addresses_survive_the_take_over": _KUBEFED,
    "test_sync_adoption.py::test_a_managed_object_without_a_federated_one_is_released": _UNSEEN,
    "test_sync_cordon.py::test_drift_stays_until_it_is_uncordoned_by_fedctl": _CORDONED,
    "test_sync_deletion.py::test_a_finalizer_that_holds_a_copy_is_named": _UNSEEN,
    "test_sync_deletion.py::test_orphaning_beside_a_copy_that_is_marked_false": _UNMANAGED,
    "test_sync_deletion.py::test_delete_options_say_what_becomes_of_dependents[Orphan]": _OPTIONS,
    "test_sync_deletion.py::test_a_copy_that_is_marked_false_stays_and_holds_nobody": _UNMANAGED,
    "test_sync_drift.py::test_managed_false_keeps_us_away_until_it_is_undone": _UNMANAGED,
    "test_sync_drift.py::test_managed_false_on_a_strangers_object_keeps_it_from_being_adopted": _UNMANAGED,
    "test_sync_jobs.py::test_a_job_that_its_ttl_removed_runs_again_with_another_template_only": _DONE,
    "test_sync_jobs.py::test_a_finished_job_that_lost_our_label_gets_it_back": _DONE,
    "test_sync_kinds.py::test_a_member_without_the_crd_fails_alone": _VERSIONS,
    "test_sync_namespaces.py::test_copied_labels_never_win_over_the_members_own": _COPIED,
    "test_sync_namespaces.py::test_the_hosts_labels_follow": _COPIED,
    "test_sync_namespaces.py::test_a_label_taken_off_the_hosts_namespace_stays_off_though_it_is_a_member": _COPIED,
    "test_sync_namespaces.py::test_a_deleted_host_namespace_empties_the_members": _NAMESPACE,
    "test_sync_namespaces.py::test_the_host_as_its_own_member_keeps_its_namespace": _NAMESPACE,
    "test_sync_namespaces.py::test_a_host_namespace_that_is_a_member_can_be_deleted": _NAMESPACE,
    "test_sync_overrides.py::test_a_version_that_a_member_does_not_serve_fails_there_alone": _VERSIONS,
    "test_sync_placement.py::test_the_namespaces_placement_moves_what_is_in_it": _NAMESPACE,
    "test_sync_placement.py::test_a_deleted_federated_namespace_takes_its_objects_out_and_says_so": _NAMESPACE,
    "test_sync_policies.py::test_if_no_diff_takes_over_what_is_equal_and_leaves_what_is_not": _SPARED,
    "test_sync_policies.py::test_a_secrets_value_is_in_no_message": _SPARED,
    "test_sync_policies.py::test_never_and_who_goes_before_whom": _SPARED,
    "test_sync_policies.py::test_reported_drift_stays_until_the_template_changes": _REPORT,
    "test_sync_policies.py::test_a_deleted_copy_is_not_made_anew_where_drift_is_reported": _REPORT,
    "test_sync_policies.py::test_a_dispute_is_told_once_and_names_who": _DISPUTE,
    "test_sync_policies.py::test_what_is_not_understood_is_refused_or_invalid": _INVALID,
    "test_sync_status.py::test_a_refusal_that_may_pass_does_not_stall": _STALLED,
}
"""Tests that hold for push mode alone, as `file::test` or `file::test[parameters]`, and why (docs/pull.md)."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[PUSH, PULL, BUNDLED])
async def mode(
    request: pytest.FixtureRequest, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """How m1 and m2 are members, for a module's tests."""
    if request.param == PUSH:
        yield PUSH
        return
    async with _pulled(fleet, tmp_path_factory.mktemp("pulled")), _bundled(fleet, request.param == BUNDLED):
        yield request.param


@asynccontextmanager
async def _bundled(fleet: Fleet, share: bool) -> AsyncIterator[None]:
    """Whether new objects share works."""
    if not share:
        yield
        return
    async with fleet.api("host") as host:
        await configure(host, {"pull": {"bundleBytes": BUNDLE_BYTES}})
    try:
        yield
    finally:
        async with fleet.api("host") as host:
            await configure(host, {"pull": None})


def runs(item: pytest.Item) -> bool:
    """Whether a test runs at all: with works that objects share not all do."""
    return _mode(item) != BUNDLED or item.path.name in SHARING


def mark(items: Iterable[pytest.Item]) -> None:
    """Mark what does not run in pull mode."""
    for item in items:
        mode_ = _mode(item)
        if not isinstance(item, pytest.Function) or mode_ not in (PULL, BUNDLED):
            continue
        test = f"{item.path.name}::{item.originalname}"
        for name in (test, f"{test}[{item.callspec.id.removeprefix(mode_).lstrip('-')}]"):
            if name in PUSH_ALONE:
                item.add_marker(pytest.mark.skip(reason=f"push mode alone: {PUSH_ALONE[name]}"))


def _mode(item: pytest.Item) -> str | None:
    parameters = getattr(item, "callspec", None)
    return parameters.params.get("mode") if parameters is not None else None


@asynccontextmanager
async def _pulled(fleet: Fleet, directory: Path) -> AsyncIterator[None]:
    """m1 and m2 leave, and register by their names; afterwards nothing is left of that, and they have joined again."""
    edges = [Edge(fleet, _made(directory / name), cluster=name, context=name) for name in fleet.members]
    for edge in edges:
        edge.hub = fleet.playground.clusters["host"].url
        edge.agent.constants["federation.agent.reporting.SPACING"] = 0.2  # a status follows each change at once
    async with AsyncExitStack() as afterwards:
        for edge in edges:
            afterwards.push_async_callback(_push_again, fleet, edge)
            await fleet.unjoin(edge.cluster)
            await eventually(lambda edge=edge: _clear(edge), within=60.0)  # type: ignore[misc]
        made = await registering.token(fleet)
        for edge in edges:
            await edge.register(made, types=(*ENABLED, *MORE))
        await asyncio.gather(*(edge.start(ready=False) for edge in edges))
        for edge in edges:
            await edge.accept()
        for edge in edges:
            await eventually(edge.is_ready, within=60.0)
        fleet.pulled = fleet.members
        afterwards.callback(setattr, fleet, "pulled", ())
        yield


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


async def _clear(edge: Edge) -> bool:
    """Whether an earlier module's namespaces, the cluster's at the hub and the agent's, are gone."""
    there = [await edge.host.get(NAMESPACES, "", edge.cluster), await edge.member.get(NAMESPACES, "", edge.namespace)]
    return there == [None, None]


async def _push_again(fleet: Fleet, edge: Edge) -> None:
    """What tests have left is taken back by the agent; then all that is its goes, and the cluster joins again."""

    async def done() -> object:
        works = await edge.host.items(MANIFEST_WORKS, edge.cluster)
        return Unlike({each["metadata"]["name"]: each["metadata"] for each in works}) if works else True

    try:
        await eventually(done, within=60.0, every=0.2, seen=f"no works of {edge.cluster}")
    finally:
        async with edge:  # ends the agent, and takes its account and namespace with it
            edge.agent.kill()
            async with Contexts(str(fleet.playground.kubeconfig)) as contexts:
                leaving = unregistering.Leaving(edge.cluster, SYSTEM_NAMESPACE, edge.namespace)
                host, member = await contexts.open("host"), await contexts.open(edge.context)
                with suppress(Refused):  # where it had not come so far
                    await unregistering.unregister(host, member, leaving, setup.quiet)
            for record in await edge.member.items(APPLIED_WORKS):
                if record["spec"]["agentID"] == f"{edge.namespace}/{edge.cluster}":
                    await edge.member.delete(APPLIED_WORKS, "", record["metadata"]["name"])
            await fleet.join(edge.cluster)
            await cluster_condition(edge.host, edge.cluster, "Ready", "True")
