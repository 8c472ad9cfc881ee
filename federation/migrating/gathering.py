"""Read the host: what runs of KubeFed, what it has stored, and what of that this project would change. Writes nothing.

Whether a CRD is up to date is what a dry run of applying it says.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from federation.core import configuration, scrubbing
from federation.joining import answers, applying, deploying, enabling, fleet, heartbeat, leases
from federation.joining.applying import Outcome
from federation.joining.deploying import DEPLOYMENTS
from federation.joining.errors import NotInstalled
from federation.joining.fleet import Fleet
from federation.kube import connection as http
from federation.kube.connection import METADATA_LIST, Connection
from federation.migrating import keeping, owners
from federation.migrating.facts import (
    CONTROLLER,
    HOOKS,
    LEFT,
    PODS_OF,
    WEBHOOK,
    Counted,
    Facts,
    Hook,
    TypeFacts,
    Workload,
)
from federation.migrating.keeping import CONFIGMAPS
from federation.model import marks
from federation.model.errors import ApiFailure, FederationError, Invalid
from federation.model.failures import FailureKind
from federation.model.federated import FederatedType
from federation.model.resources import CRDS, KUBEFED_CONFIGS, PODS, SECRETS, TYPE_CONFIGS, ObjectName, Resource
from typegen import rights, templates, validation
from typegen.model import Generated

Object = Mapping[str, Any]
_ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", namespaced=True)
_HELM_SECRETS = "owner=helm"


async def read(host: Connection, namespace: str, *, compare: bool = True) -> Facts:
    """Everything that the host itself shows; `members` adds what its members do. Raises NotInstalled, ApiFailure.

    Without `compare` CRDs and types are not compared with this version's: what is there counts as up to date.
    """
    crds = {each["metadata"]["name"]: each for each in await applying.metadata(host, CRDS)}
    if TYPE_CONFIGS.qualified not in crds:
        raise NotInstalled(
            f"{host.name}: there is no KubeFed: it has no CRD {TYPE_CONFIGS.qualified}", "to begin anew: fedctl init"
        )
    core = {str(each["metadata"]["name"]) for each in templates.core_crds()}
    readable = core | {each.qualified for each in LEFT}
    known = await fleet.read(host, namespace)
    kept = await keeping.load(host, namespace)
    version = str((await applying.read(host, "/version")).get("gitVersion", ""))
    configs = await applying.listing(host, KUBEFED_CONFIGS)
    mine = next((each for each in configs if applying.name_of(each) == ObjectName(namespace, marks.CONFIG)), None)
    namespaced = answers.section(mine or {}, "spec").get("scope") == "Namespaced"
    scope = namespace if namespaced else ""  # the only namespace that it has objects in
    return Facts(
        host=host.name,
        namespace=namespace,
        version=version,
        workloads=tuple(await workloads(host, namespace)),
        hooks=tuple([each async for each in hooks(host, namespace)]),
        outdated=tuple(await _outdated(host, templates.core_crds()) if compare else sorted(core - set(crds))),
        stored=tuple(await _stored(host)),
        strange=tuple(name for name in sorted(crds) if _is_kubefeds(name) and name not in readable),
        others=tuple(sorted({_namespace(each) for each in configs} - {namespace})),
        ours=await ours(host, namespace),
        leader=await leader(host, namespace),
        holder=await _holder(host, namespace),
        config=mine,
        problems=known.problems,
        types=tuple(await _types(host, namespace, scope, known, compare=compare)),
        left=await _left(host, scope, set(crds)),
        releases=await _releases(host, namespace),
        record=kept.record if kept is not None else None,
    )


async def workloads(host: Connection, namespace: str) -> list[Workload]:
    """KubeFed's Deployments as they are now."""
    found = [await _workload(host, namespace, name) for name in (CONTROLLER, WEBHOOK)]
    return [each for each in found if each is not None]


async def hooks(host: Connection, namespace: str) -> AsyncIterator[Hook]:
    """Every webhook configuration and APIService that concerns KubeFed's types."""
    for resource in HOOKS:
        for each in await applying.listing(host, resource):
            standing = owners.standing(each, namespace)
            if standing is not None:
                whole = {"apiVersion": resource.api_version, "kind": resource.kind, **each}
                yield Hook(resource, each["metadata"]["name"], standing, whole, owners.keeper(each))


async def leader(host: Connection, namespace: str) -> str:
    """Which controller of this project leads; "" where none does, or Leases may not be read."""
    return await _renewing(host, namespace, ours=True)


async def _renewing(host: Connection, namespace: str, *, ours: bool) -> str:
    """Who renews a Lease of the election now. KubeFed's has the same name and form; managedFields show whose it is."""
    try:
        listed = await leases.leases(host, namespace)
    except ApiFailure:
        return ""
    for each in listed:
        found = leases.read(each)
        alive = found is not None and found.host and found.silent(heartbeat.now(host)) is None
        if found is not None and alive and owners.is_of_this_project(each) is ours:
            return found.host
    return ""


async def ours(host: Connection, namespace: str) -> Workload | None:
    """This project's controller, where it is deployed at the host."""
    found = await deploying.find(host, namespace)
    if found is None:
        return None
    pods = await leases.replicas(host, namespace)
    replicas = int((found.get("spec") or {}).get("replicas") or 0)
    return Workload(deploying.CONTROLLER, replicas, len(pods), deploying.image_of(found), owners.keeper(found))


async def _holder(host: Connection, namespace: str) -> str:
    """Who renews the lock of KubeFed's election: a ConfigMap by default, or Endpoints, or a Lease."""
    for resource in (CONFIGMAPS, _ENDPOINTS):
        found = await applying.find(host, resource, ObjectName(namespace, CONTROLLER))
        if found is not None and (holder := owners.lock_holder(found, heartbeat.now(host))):
            return holder
    return await _renewing(host, namespace, ours=False)


async def _workload(host: Connection, namespace: str, name: str) -> Workload | None:
    found = await applying.find(host, DEPLOYMENTS, ObjectName(namespace, name))
    if found is None:
        return None
    pods = await applying.listing(host, PODS, namespace, selector=PODS_OF[name], accept=METADATA_LIST)
    replicas = int((found.get("spec") or {}).get("replicas") or 0)
    return Workload(name, replicas, len(pods), deploying.image_of(found), owners.keeper(found))


async def _outdated(host: Connection, manifests: Iterable[Object]) -> list[str]:
    """Those that applying would create or change."""
    return [
        str(manifest["metadata"]["name"])
        for manifest in manifests
        if await applying.apply(host, manifest, dry_run=True) is not Outcome.UNCHANGED
    ]


async def _stored(host: Connection) -> list[str]:
    """`<crd> <version>` for every version in which objects of KubeFed's API are stored."""
    found = []
    for manifest in templates.core_crds():
        crd = await applying.find(host, CRDS, applying.name_of(manifest))
        versions = ((crd or {}).get("status") or {}).get("storedVersions") or ()
        found += [f"{manifest['metadata']['name']} {each}" for each in versions]
    return found


async def _configs(host: Connection, namespace: str) -> list[FederatedType]:
    types = []
    for config in await applying.listing(host, TYPE_CONFIGS, namespace):
        try:
            types.append(configuration.type_config(config))
        except Invalid:
            continue  # fleet.read has reported it
    return types


async def _types(host: Connection, namespace: str, scope: str, known: Fleet, *, compare: bool) -> list[TypeFacts]:
    configs = await _configs(host, namespace)
    joined = {each.name for each in known.members}
    made = await _made(host, namespace, configs) if compare else {}
    return [await _type(host, scope, each, made.get(each.name), joined) for each in configs]


async def _made(host: Connection, namespace: str, configs: Sequence[FederatedType]) -> dict[str, Generated | str]:
    """Each type as this version makes it; or why it cannot be made. All at once, else one by one: to see which."""
    names = [each.name for each in configs]
    try:
        made = await enabling.generate(host, namespace, [enabling.Request(name=name) for name in names])
        return dict(zip(names, made, strict=True))
    except FederationError as error:
        if len(names) <= 1:
            return dict.fromkeys(names, str(error))
    alone = [await _made(host, namespace, [each]) for each in configs]
    return {name: made for each in alone for name, made in each.items()}


async def _type(
    host: Connection, scope: str, config: FederatedType, made: Generated | str | None, joined: set[str]
) -> TypeFacts:
    """`made` is None where it is not compared; `scope`: the one namespace that the controller has rights in."""
    manifests = [made.crd, *rights.host_roles(made, within=scope)] if isinstance(made, Generated) else []
    return TypeFacts(
        name=config.name,
        federated=config.federated.qualified,
        propagation=config.propagation,
        collection=config.collection is not None,
        outdated=bool(await _outdated(host, manifests)),
        problem=made if isinstance(made, str) else "",
        counted=await _counted(host, scope, config, joined, made.crd if isinstance(made, Generated) else None),
    )


async def _counted(
    host: Connection, scope: str, config: FederatedType, clusters: set[str], crd: Object | None
) -> Counted:
    objects = deleting = annotated = finalized = failing = misfits = 0
    misfit = ""
    unknown: set[str] = set()
    if scope and not config.federated.namespaced:
        return Counted()  # in one namespace there are none
    async for each in pages(host, config.federated, scope):
        objects += 1
        deleting += bool(each["metadata"].get("deletionTimestamp"))
        spec = answers.section(each, "spec")
        metadata = answers.section(answers.section(spec, "template"), "metadata")
        annotated += bool(metadata.get("annotations"))
        finalized += bool(metadata.get("finalizers"))
        lines = answers.section(each, "status").get("clusters")
        failing += any(isinstance(line, dict) and line.get("status") for line in lines or ())
        placed = answers.section(spec, "placement").get("clusters")
        unknown |= {str(one.get("name")) for one in placed or () if isinstance(one, dict)} - clusters
        if crd is not None and (problem := _misfit(crd, spec, secret=config.target.qualified == SECRETS.qualified)):
            misfits += 1
            misfit = misfit or f"{applying.name_of(each)} {problem}"
    return Counted(objects, deleting, annotated, finalized, failing, misfits, misfit, frozenset(unknown))


def _misfit(crd: Object, spec: Object, *, secret: bool) -> str:
    """The first field of a spec that the CRD does not take; of a Secret without a value."""
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].get("spec") or {}
    problem = next(validation.problems(schema, spec, "spec"), None)
    if problem is None:
        return ""
    return scrubbing.line(problem.path if secret else f"{problem.path}: {problem.message}")


async def pages(
    connection: Connection, resource: Resource, namespace: str = "", *, selector: str = "", accept: str = http.JSON
) -> AsyncIterator[dict[str, Any]]:
    """Every object, page by page and no more than one in memory; none where the type is not served."""
    params = {"limit": applying.PAGE} | ({"labelSelector": selector} if selector else {})
    secret = applying.is_secret(resource)
    doing = f"{connection.name}: list {resource.qualified}"
    while True:
        path = resource.collection(namespace)
        answer = await applying.request(
            connection, "GET", path, params=params, accept=accept, deadline=30.0, secret=secret
        )
        try:
            page, token = answers.page(http.expect(answer, doing).json(doing), doing)
        except ApiFailure as error:
            if error.failure.kind in (FailureKind.TYPE_MISSING, FailureKind.NOT_FOUND):
                return
            raise
        for each in page:
            yield each
        if not token:
            return
        params["continue"] = token


async def _left(host: Connection, scope: str, served: set[str]) -> dict[str, int]:
    """How many objects of KubeFed's own there are, by kind; of kinds that the host serves."""
    found = {}
    for resource in LEFT:
        if resource.qualified in served and (resource.namespaced or not scope):
            found[resource.kind] = len([each async for each in pages(host, resource, scope, accept=METADATA_LIST)])
    return found


async def _releases(host: Connection, namespace: str) -> tuple[str, ...]:
    """Helm's releases in this namespace that have KubeFed's Deployment or configurations; by the Secrets' labels."""
    listed = await applying.listing(host, SECRETS, namespace, selector=_HELM_SECRETS, accept=METADATA_LIST)
    names = {str((each["metadata"].get("labels") or {}).get("name", "")) for each in listed}
    kept = set()
    for name in (CONTROLLER, WEBHOOK):
        found = await applying.find(host, DEPLOYMENTS, ObjectName(namespace, name))
        kept.add(owners.release(found or {}))
    return tuple(sorted((names & kept) - {""}))


def _is_kubefeds(name: str) -> bool:
    return name.endswith(
        (".core.kubefed.io", ".scheduling.kubefed.io", ".multiclusterdns.kubefed.io", ".kubefed.k8s.io")
    )


def _namespace(found: Object) -> str:
    return str(found["metadata"].get("namespace", ""))
