"""Install the federation API on a host, and the controller where its image is named. `fedctl init`.

The CRDs go first and the Deployment last, so that a newer controller finds what it needs.
"""

from typing import Any, NamedTuple

from federation import __version__
from federation.joining import applying, assessments, defaulting, deploying, finalizing, fleet, objects, scopes, skew
from federation.joining.applying import Report
from federation.joining.deploying import CONTROLLER
from federation.joining.errors import Refused
from federation.joining.finalizing import Policy
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.marks import SYSTEM_NAMESPACE
from federation.model.resources import CLUSTER_ROLE_BINDINGS, KUBEFED_CONFIGS, NAMESPACES, ObjectName
from typegen import templates

Manifest = dict[str, Any]


class Wanted(NamedTuple):
    """What is installed beside CRDs, namespace, RBAC and KubeFedConfig.

    `policy` lets the API server add our finalizer, which not every host serves. `image` is the controller's, "" for no
    Deployment. With `crds_only` nothing but the CRDs is installed. `scope` is the KubeFedConfig's; "" keeps what is
    there, and is Cluster where nothing is. `shards` is into how many the clusters are divided; 0 keeps what the
    Deployment says, and is 1 where there is none.
    """

    policy: Policy = Policy.KEEP
    image: str = ""
    crds_only: bool = False
    scope: str = ""
    shards: int = 0


def manifests(namespace: str = SYSTEM_NAMESPACE, wanted: Wanted = Wanted()) -> list[Manifest]:  # noqa: B008 (frozen)
    """Everything that a host needs, in the order of its installation. Raises Invalid for a bad namespace or image."""
    objects.namespace(namespace)
    crds = [*templates.core_crds(), *templates.kubefeds_crds()]
    if wanted.crds_only:
        return crds
    spec = {"scope": wanted.scope} if wanted.scope else {}
    return [
        *crds,
        *templates.documents("host/namespace.yaml", namespace=namespace),
        *templates.documents("host/rbac.yaml", namespace=namespace, namespaced=wanted.scope == fleet.NAMESPACED),
        *(templates.documents("host/shards.yaml", namespace=namespace) if wanted.shards > 1 else ()),
        *templates.documents("host/user-roles.yaml"),
        *templates.documents("host/config.yaml", namespace=namespace, spec=spec),
        *(map(dict, finalizing.manifests(namespace, CONTROLLER)) if wanted.policy is Policy.TRUE else ()),
        *_controller(namespace, wanted),
    ]


def _controller(namespace: str, wanted: Wanted) -> list[Manifest]:
    return deploying.manifests(namespace, wanted.image, max(1, wanted.shards)) if wanted.image else []


async def install(
    host: Connection,
    namespace: str,
    report: Report,
    wanted: Wanted = Wanted(),  # noqa: B008 (frozen)
    *,
    dry_run: bool = False,
    timeout: float = 60.0,
) -> None:
    """Apply `manifests` and wait until the CRDs are served. An existing KubeFedConfig keeps every setting.

    Raises Refused, before anything is applied, where Helm has the Deployment that an image is given for. `dry_run` has
    the server check what it can and stores nothing.
    """
    before = "" if wanted.crds_only else await scopes.installed(host, namespace)
    divided = 1 if wanted.crds_only else await _divided(host, namespace, wanted, report)
    wanted = wanted._replace(scope=wanted.scope or before, shards=wanted.shards or divided)
    all_ = manifests(namespace, wanted._replace(policy=Policy.KEEP))
    crds = [each for each in all_ if each["kind"] == "CustomResourceDefinition"]
    controller = _controller(namespace, wanted)
    rest = all_[len(crds) : len(all_) - len(controller)]
    await _check_version(host)
    if not wanted.crds_only:
        await _check_controller(host, namespace, wanted.image, report)
        if wanted.scope != fleet.NAMESPACED:
            await _warn_of_another(host, namespace, report)
    if dry_run:
        await _rehearse(host, namespace, all_, report)
    else:
        await applying.apply_all(host, list(crds), report)
        await applying.wait_established(host, [each["metadata"]["name"] for each in crds], timeout=timeout)
        change = await scopes.change(host, namespace, before, wanted.scope) if not wanted.crds_only else None
        if change is not None:
            await change.widen(report)
        await applying.apply_all(host, list(rest), report)
        if change is not None:
            await change.narrow(report)
    if not wanted.crds_only:
        if not dry_run:
            await defaulting.install(host, report)
        await finalizing.install(host, namespace, CONTROLLER, wanted.policy, report, dry_run=dry_run)
    if not dry_run:
        await applying.apply_all(host, list(controller), report)
        if controller and wanted.shards == 1 < divided:
            await _narrow(host, namespace, report)


async def _divided(host: Connection, namespace: str, wanted: Wanted, report: Report) -> int:
    """The number of shards that the Deployment is for. Who asks for another one, and names no image, is told."""
    try:
        found = await deploying.find(host, namespace)
    except ApiFailure:
        if wanted.image:
            raise
        return 1  # who may not look at Deployments is told nothing of them
    divided = deploying.shards_of(found)
    if wanted.shards and not wanted.image and wanted.shards != divided:
        what = f"deployment {namespace}/{CONTROLLER} has {divided}" if found is not None else "there is no Deployment"
        report(
            f"note: {host.name}: {what}: name its image with --image (of Helm's: controllermanager.shards), or start "
            f"every controller with --shards {wanted.shards}"
        )
    return divided


async def _narrow(host: Connection, namespace: str, report: Report) -> None:
    """Take away the rights that several shards have needed."""
    for each in reversed(templates.documents("host/shards.yaml", namespace=namespace)):
        resource, name = applying.resource_of(each), applying.name_of(each)
        outcome = await applying.delete(host, resource, name)
        report(f"{host.name}: {applying.label(resource, name)} {outcome}")


async def _rehearse(host: Connection, namespace: str, wanted: list[Manifest], report: Report) -> None:
    missing_namespace = await applying.find(host, NAMESPACES, ObjectName("", namespace)) is None
    for manifest in wanted:
        resource, name = applying.resource_of(manifest), applying.name_of(manifest)
        try:
            outcome: str = await applying.apply(host, manifest, dry_run=True)
        except ApiFailure as error:
            # A dry run creates neither the namespace nor the CRD that later objects need.
            needs = {FailureKind.NAMESPACE_MISSING} if missing_namespace else set()
            needs |= {FailureKind.TYPE_MISSING} if resource == KUBEFED_CONFIGS else set()
            if error.failure.kind not in needs:
                raise
            outcome = "created"
        report(f"{host.name}: {applying.label(resource, name)} {outcome} (dry run)")


async def _warn_of_another(host: Connection, namespace: str, report: Report) -> None:
    """Warn if a federation is installed in another namespace: the controller's ClusterRoleBinding is for only one."""
    try:
        binding = await applying.find(host, CLUSTER_ROLE_BINDINGS, ObjectName("", CONTROLLER))
    except ApiFailure:
        return  # this is only for a warning; applying the binding reports the error
    others = {str(each.get("namespace", "")) for each in (binding or {}).get("subjects") or ()} - {namespace, ""}
    for other in sorted(others):
        report(
            f"warning: {host.name}: a federation in namespace {other} was installed before; a controller deployed "
            f"there loses its rights to {namespace}"
        )


async def _check_version(host: Connection) -> None:
    text = str((await applying.read(host, "/version")).get("gitVersion", ""))
    check = assessments.version(text, assessments.OLDEST_HOST)
    if check.grade is assessments.Grade.FAILED:
        raise Refused(f"{host.name}: {check.message}", check.hint)


async def _check_controller(host: Connection, namespace: str, image: str, report: Report) -> None:
    """Refuse to take a Deployment from Helm; warn where the controller is of another version than this fedctl."""
    if image:
        await deploying.refuse_helms(host, namespace)
    try:
        running = image or deploying.image_of(await deploying.find(host, namespace))
    except ApiFailure:
        return  # who may not look at Deployments is told nothing of them
    if words := skew.said(__version__, deploying.tag(running)):
        report(f"warning: {host.name}: {words}")
