"""What the facts of a KubeFed installation mean: what speaks against moving it, and which steps are left. Pure."""

import enum
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from federation.core import configuration
from federation.joining import assessments
from federation.joining.assessments import Check, Grade
from federation.migrating.facts import CLUSTER_VERSIONS, SERVICE_STATUSES, VERSIONS, Facts, Standing, Workload
from federation.model.errors import Invalid
from federation.model.settings import MOST_RECONCILES

_TAG = re.compile(r"[:@]v?(\d+)\.(\d+)[^:/]*$")
_NAMED = 5
_RECONCILES = "spec.syncController.maxConcurrentReconciles"
_HELMS = "the Helm release "
_RBAC = ".rbac.authorization.k8s.io"


class State(enum.StrEnum):
    """Of one step."""

    DONE = "done"
    TODO = "to do"
    BLOCKED = "blocked"
    OPTIONAL = "optional"


class Step(enum.StrEnum):
    """A step, by its flag. START is the user's own."""

    STOP = "--stop"
    UPGRADE = "--upgrade"
    START = "start the controller"
    VERIFY = "--verify"
    REMOVE = "--remove-versions"
    NARROW = "--narrow"
    FINISH = "--finish"


NEEDED = (Step.STOP, Step.UPGRADE, Step.START)
"""Without these KubeFed's work is not done by this project."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A step as it stands, and what it would do or waits for."""

    step: Step
    state: State
    what: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The checks, and the steps in their order."""

    checks: tuple[Check, ...]
    steps: tuple[Planned, ...]

    @property
    def refused(self) -> tuple[Check, ...]:
        """What has to be mended first."""
        return tuple(each for each in self.checks if each.grade is Grade.FAILED)

    @property
    def todo(self) -> tuple[Planned, ...]:
        """The steps that are not done and have to be."""
        return tuple(each for each in self.steps if each.step in NEEDED and each.state is not State.DONE)

    @property
    def next(self) -> Planned | None:
        """The first step that can be done now; where all that must be done is, nothing."""
        return next((each for each in self.steps if each.state is State.TODO), None)


def decide(facts: Facts) -> Decision:
    """The whole of it."""
    checks = tuple(_checks(facts))
    failed = any(each.grade is Grade.FAILED for each in checks)
    return Decision(checks, tuple(_steps(facts, failed=failed)))


def named(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _checks(facts: Facts) -> Iterator[Check]:
    version = assessments.version(facts.version, assessments.OLDEST_HOST)
    yield Check("host", version.grade, version.message, version.hint)
    yield from _kubefed(facts)
    yield from _keepers(facts)
    yield from _settings(facts)
    yield from _types(facts)
    yield from _clusters(facts)
    yield from _left(facts)


def _kubefed(facts: Facts) -> Iterator[Check]:
    for each in facts.workloads:
        ran = f"replicas {each.replicas}" + (f", Pods {each.pods}" if each.pods != each.replicas else "")
        yield Check(each.name, Grade.OK, f"{each.image or 'no image'}, {ran}")
        if (found := _TAG.search(each.image)) is not None and (int(found[1]), int(found[2])) < (0, 1):
            message = f"{each.image} is older than 0.1: its API is another one"
            yield Check(each.name, Grade.FAILED, message, "move to KubeFed 0.10 first")
    if not facts.workloads and facts.outdated:
        yield Check(
            "kubefed",
            Grade.WARNING,
            f"no Deployment of KubeFed in namespace {facts.namespace}: what runs elsewhere has to be stopped by you",
        )
    if facts.holder and facts.workloads and not any(each.stands for each in facts.workloads):
        yield Check(
            "kubefed",
            Grade.WARNING,
            f"{facts.holder} has renewed the lock of KubeFed's election just now, though its Deployment is at 0",
            "look again in 20 s: if it still does, KubeFed runs elsewhere, and two would write; stop it there",
        )
    if bad := [each for each in facts.stored if not each.endswith(" v1beta1") and not each.endswith(" v1alpha1")]:
        yield Check("crds", Grade.FAILED, f"objects are stored in versions that are not known: {named(bad)}")
    if facts.strange:
        yield Check(
            "crds",
            Grade.WARNING,
            f"nothing here reads {named(facts.strange)}",
            "delete these CRDs when you need their objects no more",
        )
    for hook in facts.hooks:
        if hook.standing is Standing.MIXED:
            yield Check(
                "webhooks",
                Grade.FAILED,
                f"{hook.label} is asked about KubeFed's types and about others, so it is somebody's own",
                "take core.kubefed.io out of its rules by hand",
            )
    foreign = [each.label for each in facts.hooks if each.standing is Standing.ANOTHERS]
    if foreign:
        yield Check("webhooks", Grade.WARNING, f"left alone, of a control plane in another namespace: {named(foreign)}")
    if facts.others:
        yield Check(
            "kubefed",
            Grade.WARNING,
            f"other control planes at this host, in {named(facts.others)}: CRDs are theirs, too, and stay",
            "move each with --kubefed-namespace",
        )
    running = facts.ours is not None and facts.ours.stands
    if running and not facts.stopped:
        yield Check(
            "controller",
            Grade.WARNING,
            "this project's controller is deployed, and KubeFed is not stopped: both would write",
            "run: fedctl migrate --stop",
        )


def _keepers(facts: Facts) -> Iterator[Check]:
    """Whoever would write again what is taken away: a Helm release, a GitOps tool."""
    kept: dict[str, list[str]] = defaultdict(list)
    for workload in facts.workloads:
        if workload.keeper:
            kept[workload.keeper].append(f"deployment {workload.name}")
    for hook in facts.mine:
        if hook.keeper:
            kept[hook.keeper].append(hook.label)
    for keeper, what in sorted(kept.items()):
        if keeper.startswith(_HELMS) and keeper.removeprefix(_HELMS) not in facts.releases:
            message = f"{named(what)}: marked as of {keeper}, of which Helm has no Secret here: it is forgotten"
            yield Check("owner", Grade.OK, message)
            continue
        yield Check(
            "owner",
            Grade.WARNING,
            f"{named(what)}: {keeper} would start KubeFed again",
            "docs/migration.md: stop it from syncing, or forget the Helm release; no helm upgrade, no helm uninstall",
        )
    for release in facts.releases:
        if f"the Helm release {release}" not in kept:
            yield Check(
                "owner",
                Grade.WARNING,
                f"Helm remembers a release {release} with KubeFed's objects",
                f"forget it: kubectl -n {facts.namespace} delete secret -l owner=helm,name={release}",
            )


def _settings(facts: Facts) -> Iterator[Check]:
    if facts.config is None:
        message = f"no KubeFedConfig {facts.namespace}/kubefed: every setting is the default"
        yield Check("settings", Grade.WARNING, message)
        return
    spec = facts.config.get("spec") or {}
    try:
        settings = configuration.settings(spec)
    except Invalid as error:
        hint = "correct it: until then the controller takes nothing over and uses defaults"
        yield Check("settings", Grade.FAILED, f"KubeFedConfig kubefed: {error}", hint)
        return
    scope = "Namespaced" if settings.namespaced else "Cluster"
    yield Check("settings", Grade.OK, f"scope {scope}, features {', '.join(sorted(settings.features)) or 'none'}")
    if not settings.adopt_resources:
        message = "syncController.adoptResources is Disabled: what KubeFed has labelled is taken over all the same"
        yield Check("settings", Grade.OK, message)
    if settings.sync_concurrency == 1:
        yield Check(
            "settings",
            Grade.WARNING,
            f"{_RECONCILES} is 1, as KubeFed's chart writes it: one object of each type at a time, as there. "
            f"Without it there are {MOST_RECONCILES}",
            f"unless you have chosen it: kubectl -n {facts.namespace} patch kubefedconfig kubefed --type=json "
            f"""-p='[{{"op":"remove","path":"/{_RECONCILES.replace(".", "/")}"}}]'""",
        )
    for each in configuration.ignored_fields(spec, settings):
        yield Check("settings", Grade.WARNING, f"no effect here: {each}")


def _types(facts: Facts) -> Iterator[Check]:
    for problem in facts.problems:
        yield Check("types", Grade.WARNING, problem, "correct it, or delete it: its members' objects stay")
    objects = sum(each.counted.objects for each in facts.types)
    yield Check("types", Grade.OK, f"{len(facts.types)} types, {objects} federated objects")
    for each in facts.types:
        counted = each.counted
        if each.problem:
            yield Check(
                each.name,
                Grade.WARNING,
                f"cannot be brought up to date, stays as KubeFed left it: {each.problem}",
                "fedctl enable -f FILE takes the target's CRD from a file",
            )
        if counted.annotated:
            yield Check(
                each.name,
                Grade.WARNING,
                f"{counted.annotated} templates have annotations, which KubeFed dropped: members' objects get them",
                "take out of the templates what members must not have; see docs/migration.md",
            )
        if counted.misfits:
            yield Check(
                each.name,
                Grade.WARNING,
                f"{counted.misfits} objects have fields that the new CRD does not take, such as {counted.misfit}",
                "correct them before --upgrade: unknown fields are dropped then, and wrong ones cannot be written",
            )
        if counted.finalized:
            yield Check(each.name, Grade.WARNING, f"{counted.finalized} templates have finalizers, which are left out")
        if counted.deleting:
            message = f"{counted.deleting} objects are being deleted: the controller goes on with that when it starts"
            yield Check(each.name, Grade.WARNING, message)
        if counted.failing:
            message = f"{counted.failing} objects are not propagated everywhere, by KubeFed's own word"
            yield Check(each.name, Grade.WARNING, message)
        if counted.unknown_clusters:
            message = f"placements name clusters that have not joined: {named(sorted(counted.unknown_clusters))}"
            yield Check(each.name, Grade.WARNING, message)


def _clusters(facts: Facts) -> Iterator[Check]:
    by_uid: dict[str, list[str]] = defaultdict(list)
    for each in facts.clusters:
        where = f"cluster {each.name}"
        if each.uid:
            by_uid[each.uid].append(each.name)
        if each.refusal:
            yield Check(where, Grade.FAILED, f"its stored credentials would not be used: {each.refusal}")
        if each.silent:
            hint = "its objects are not compared before and after, and wait until it answers"
            yield Check(where, Grade.UNKNOWN, each.silent, hint)
        elif each.version:
            version = assessments.version(each.version, assessments.OLDEST_MEMBER)
            yield Check(where, version.grade, version.message, version.hint)
        if each.unbound or each.all_rights:
            held = [*(["a token without end"] if each.unbound else []), *(["every right"] if each.all_rights else [])]
            yield Check(where, Grade.OK, f"KubeFed's account has {' and '.join(held)} there: --narrow ends that")
    for names in by_uid.values():
        if len(names) > 1:
            yield Check(
                "clusters",
                Grade.FAILED,
                f"{named(names)} are one cluster: it may be joined once only, the others would be refused",
                "fedctl unjoin all but one of them, once placements name that one",
            )


def _left(facts: Facts) -> Iterator[Check]:
    words = {
        VERSIONS.kind: "read by nobody from now on; --remove-versions deletes them",
        CLUSTER_VERSIONS.kind: "read by nobody from now on; --remove-versions deletes them",
        SERVICE_STATUSES.kind: "not written any more, services have remoteStatus; --remove-versions deletes them",
    }
    for kind, count in facts.left.items():
        if count:
            yield Check("left over", Grade.OK, f"{count} {kind}: {words[kind]}")


def _steps(facts: Facts, *, failed: bool) -> Iterator[Planned]:
    yield _stop(facts, failed=failed)
    upgraded = not facts.outdated and not any(each.outdated for each in facts.types)
    yield _upgrade(facts, upgraded=upgraded)
    running = bool(facts.leader) or (facts.ours is not None and facts.ours.stands)
    ready = facts.stopped and upgraded
    if ready and running:
        yield Planned(Step.START, State.DONE, (f"{facts.leader} leads" if facts.leader else "it is deployed",))
    else:
        what = "fedctl init --image IMAGE, or the chart, or fedctl controller run"
        yield Planned(Step.START, State.TODO if ready else State.BLOCKED, (what,))
    compared = facts.record is not None and bool(facts.record.stopped)
    what = "compares members' objects with what they were when KubeFed stopped"
    yield Planned(Step.VERIFY, State.OPTIONAL if compared else State.BLOCKED, (what,))
    yield _remove(facts)
    yield _narrow(facts, ready=ready and bool(facts.leader))
    last = State.OPTIONAL if ready and running and facts.record is not None else State.BLOCKED
    what = "deletes what is left of KubeFed at the host, its tokens in members, and the record: no --undo after it"
    if facts.record is None and facts.stopped and not facts.workloads:
        yield Planned(Step.FINISH, State.DONE, ("nothing is recorded, and nothing of KubeFed is deployed",))
    else:
        yield Planned(Step.FINISH, last, (what,))


def _stop(facts: Facts, *, failed: bool) -> Planned:
    if facts.stopped:
        return Planned(Step.STOP, State.DONE, ("nothing of KubeFed runs, no webhook stands in the way",))
    what = [_scaled(each) for each in facts.workloads if each.stands]
    what += [f"{each.label}: recorded and deleted" for each in facts.mine]
    return Planned(Step.STOP, State.BLOCKED if failed else State.TODO, tuple(what))


def _scaled(workload: Workload) -> str:
    if workload.replicas:
        return f"deployment {workload.name}: replicas {workload.replicas} -> 0"
    return f"deployment {workload.name}: Pods that are ending: {workload.pods}"


def _upgrade(facts: Facts, *, upgraded: bool) -> Planned:
    if upgraded and facts.stopped:
        return Planned(Step.UPGRADE, State.DONE, ("CRDs and types are this version's",))
    what = []
    if facts.outdated:
        what.append(f"{len(facts.outdated)} CRDs of the API: {named(facts.outdated)}")
    if types := [each.name for each in facts.types if each.outdated]:
        what.append(f"{len(types)} types: {named(types)}")
    what.append("namespace, roles and KubeFedConfig as by fedctl init; every setting stays")
    return Planned(Step.UPGRADE, State.TODO if facts.stopped else State.BLOCKED, tuple(what))


def _grants(name: str, facts: Facts) -> bool:
    """Whether objects of the type give rights, and are federated in the scope that there is."""
    cluster_wide = name.startswith("cluster")
    return name.endswith(_RBAC) and not (facts.namespaced and cluster_wide)


def _remove(facts: Facts) -> Planned:
    found = [f"{count} {kind}" for kind, count in facts.left.items() if count]
    if not found:
        return Planned(Step.REMOVE, State.DONE, ("there are none",))
    return Planned(Step.REMOVE, State.OPTIONAL if facts.stopped else State.BLOCKED, (", ".join(found),))


def _narrow(facts: Facts, *, ready: bool) -> Planned:
    wide = [each.name for each in facts.clusters if each.unbound or each.all_rights]
    if not wide:
        return Planned(Step.NARROW, State.DONE, ("no member's account is known to have more than it needs",))
    lines = [f"{len(wide)} members: {named(wide)}"]
    if granting := [each.name for each in facts.types if each.propagation and _grants(each.name, facts)]:
        lines.append(f"members then refuse {named(granting)} that grant more rights than the controller has there")
    return Planned(Step.NARROW, State.OPTIONAL if ready else State.BLOCKED, tuple(lines))
