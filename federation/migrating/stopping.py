"""Stop KubeFed, and start it again: its Deployments, and the configurations by which API servers ask its webhook.

Stopping: the record first; then the controller, until its Pods are gone; then the configurations; then the webhook,
which nobody asks any more. A write that needs the webhook is refused while a configuration stands and the webhook does
not, so the configurations go first, and come last when it is all taken back.
"""

from collections.abc import Mapping

import orjson

from federation.joining import applying
from federation.joining.applying import Report
from federation.joining.deploying import DEPLOYMENTS
from federation.joining.errors import Refused
from federation.joining.reaching import Reach
from federation.kube import connection as http
from federation.kube.connection import MERGE_PATCH, Connection
from federation.migrating import gathering, keeping, members, records
from federation.migrating.facts import CONTROLLER, HOOKS, PODS_OF, WEBHOOK, Hook, Standing
from federation.migrating.members import Visit
from federation.model.failures import Failure, FailureKind
from federation.model.resources import PODS, ObjectName

_GONE = (FailureKind.NOT_FOUND, FailureKind.TYPE_MISSING)


async def stop(reach: Reach, visit: Visit, timeout: float, report: Report) -> list[str]:
    """Record what there is, and stop it; returns what could not be noted in members, a line for each.

    May be broken off and run again. Raises Refused, NotConfirmed, ApiFailure.
    """
    host, namespace = reach.host, reach.namespace
    kept = await keeping.begin(host, namespace)
    found = [each async for each in gathering.hooks(host, namespace)]
    standing = await gathering.workloads(host, namespace)
    mine = [each for each in found if each.standing is Standing.KUBEFEDS]
    record = records.with_workloads(kept.record, {each.name: each.replicas for each in standing})
    record = records.with_hooks(record, {_key(each): each.manifest for each in mine})
    kept = await keeping.save(host, namespace, kept, record)
    report(f"{host.name}: configmap {namespace}/{records.NAME} has what is there now")
    await _end(host, namespace, CONTROLLER, timeout, report)
    for each in mine:
        report(f"{host.name}: {each.label} {await _delete(host, each)}")
    await _end(host, namespace, WEBHOOK, timeout, report)
    missing = await members.take(reach, visit, report)
    if not kept.record.stopped:
        record = records.stopped(kept.record, keeping.now(host))
        await keeping.save(host, namespace, kept, record)
    return missing


async def undo(reach: Reach, report: Report) -> None:
    """Give KubeFed's Deployments their replicas and the API server its configurations; then forget the record.

    Members' rights are taken back by `narrowing.undo` before that. `refuse` is asked before both.
    """
    host, namespace = reach.host, reach.namespace
    kept = await keeping.load(host, namespace)
    if kept is None:
        return
    await _scale(host, namespace, WEBHOOK, kept.record.replicas, report)
    for key, manifest in sorted(kept.record.hooks.items()):
        await _restore(host, key, manifest, report)
    await _scale(host, namespace, CONTROLLER, kept.record.replicas, report)
    await keeping.forget(host, namespace)
    report(f"{host.name}: configmap {namespace}/{records.NAME} deleted: KubeFed runs again as before")


async def refuse(reach: Reach) -> None:
    """Raise Refused where `undo` would have two controllers write, or has nothing to take back."""
    host, namespace = reach.host, reach.namespace
    kept = await keeping.load(host, namespace)
    if kept is None:
        message = f"{host.name}: nothing is recorded in namespace {namespace}: there is nothing to take back"
        raise Refused(message, "after --finish nothing is; KubeFed can be installed anew by its chart")
    running = any(each.replicas for each in await gathering.workloads(host, namespace) if each.name == CONTROLLER)
    if running or not kept.record.replicas.get(CONTROLLER):
        return  # an earlier run has come that far, or there is nothing to start
    ours = await gathering.ours(host, namespace)
    if ours is not None and ours.stands:
        raise Refused(
            f"{host.name}: this project's controller runs: with KubeFed beside it two would write",
            f"first: kubectl -n {namespace} scale deployment {ours.name} --replicas=0",
        )
    if leader := await gathering.leader(host, namespace):
        raise Refused(
            f"{host.name}: {leader} leads now, as a controller of this project does: two would write",
            "stop that process first, and wait until its Lease has ended (15 s)",
        )


async def _end(host: Connection, namespace: str, name: str, timeout: float, report: Report) -> None:
    """Scale one of KubeFed's Deployments to 0, and wait until its Pods are gone."""
    await _scale(host, namespace, name, {name: 0}, report)

    async def ended() -> bool:
        accept = http.METADATA_LIST
        return not await applying.listing(host, PODS, namespace, selector=PODS_OF[name], limit=1, accept=accept)

    await applying.until(
        ended,
        timeout=timeout,
        what=f"{host.name}: Pods of deployment {namespace}/{name} to be gone",
        hint="see what holds them, or give them longer with --timeout; then run the same command again",
    )


async def _scale(host: Connection, namespace: str, name: str, replicas: Mapping[str, int], report: Report) -> None:
    where = ObjectName(namespace, name)
    label = applying.label(DEPLOYMENTS, where)
    found = await applying.find(host, DEPLOYMENTS, where)
    if found is None:
        if replicas.get(name):
            report(f"warning: {host.name}: {label} is not there any more: install KubeFed's chart again")
        return
    if name not in replicas or (found.get("spec") or {}).get("replicas") == replicas[name]:
        return
    body = {"metadata": {"uid": found["metadata"]["uid"]}, "spec": {"replicas": replicas[name]}}
    answer = await applying.request(
        host,
        "PATCH",
        DEPLOYMENTS.path(where),
        params={"fieldManager": applying.MANAGER},
        body=orjson.dumps(body),
        content_type=MERGE_PATCH,
    )
    http.expect(answer, f"{host.name}: patch {label}")
    report(f"{host.name}: {label} scaled to {replicas[name]}")


async def _delete(host: Connection, hook: Hook) -> str:
    """Delete exactly what was recorded: one that was changed since is looked at again by the next run."""
    metadata = hook.manifest["metadata"]
    exactly = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": exactly}
    path = hook.resource.path(ObjectName("", hook.name))
    answer = await applying.request(host, "DELETE", path, body=orjson.dumps(body))
    if isinstance(answer, Failure) and answer.kind in _GONE:
        return "is gone already"
    if isinstance(answer, Failure) and answer.kind in (FailureKind.VERSION_CONFLICT, FailureKind.UID_MISMATCH):
        raise Refused(f"{host.name}: {hook.label} has changed meanwhile", "run the same command again")
    http.expect(answer, f"{host.name}: delete {hook.label}")
    return "deleted"


async def _restore(host: Connection, key: str, manifest: records.Manifest, report: Report) -> None:
    plural, _, name = key.partition(".")
    resource = next((each for each in HOOKS if each.plural == plural), None)
    if resource is None:
        report(f"warning: {host.name}: {key} is recorded, and not known: create it by hand")
        return
    path, label = resource.collection(), f"{resource.kind.lower()} {name}"
    if await applying.find(host, resource, ObjectName("", name)) is not None:
        report(f"{host.name}: {label} is there")
        return
    params = {"fieldManager": applying.MANAGER}
    answer = await applying.request(host, "POST", path, params=params, body=orjson.dumps(manifest))
    http.expect(answer, f"{host.name}: create {label}")
    report(f"{host.name}: {label} created")


def _key(hook: Hook) -> str:
    return records.hook_key(hook.resource.plural, hook.name)
