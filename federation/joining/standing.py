"""Check new federated types against the CRDs that the host already has, before anything is written."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from federation.joining import applying, discovery
from federation.joining.errors import Refused
from federation.kube.connection import Connection
from federation.model.errors import ApiFailure
from federation.model.failures import FailureKind
from federation.model.resources import CRDS, TYPE_CONFIGS, ObjectName
from typegen import clashes, installed
from typegen.installed import Hub
from typegen.model import Caution, Generated


async def settle(host: Connection, made: Sequence[Generated]) -> list[Generated]:
    """The types, without short names that other types have.

    Raises Refused when a federated CRD, or one of its names, belongs to another target, at the host or in this run.
    """
    for reason in clashes.reasons(made).values():
        raise Refused(reason, "enable one of them by itself, with a --federated-group of its own")
    hub = await _read(host, {each.federated.group for each in made}, {each.federated.qualified for each in made})
    for each in made:
        conflict = hub.conflict(each)
        if conflict is not None:
            hint = (
                f"give {each.target.qualified} another group: --federated-group {_group(each)}, or "
                "spec.federatedGroup of an EnableTypeDirective"
            )
            raise Refused(f"{host.name}: {conflict.reason}", conflict.hint or hint)
    within = clashes.short_names(made)
    result = []
    for each in made:
        taken = {**hub.short_names(each.federated), **within.get(each.target.qualified, {})}
        remarks = [
            Caution("metadata", f"{other} federates {each.target.qualified}, too: its objects are not propagated")
            for other in hub.others(each)
        ]
        settled = each.without_short_names(taken)
        result.append(replace(settled, cautions=(*settled.cautions, *remarks)))
    return result


def _group(made: Generated) -> str:
    label = made.target.group.partition(".")[0] or "core"
    return f"{label}.{made.federated.group}"


async def _read(host: Connection, groups: Collection[str], wanted: Collection[str]) -> Hub:
    """The host's CRDs of these groups: those in `wanted` whole, of others only their names and metadata."""
    definitions: list[dict[str, Any]] = []
    records = [each for each in await applying.metadata(host, CRDS) if _group_of(each) in groups]
    if not records:
        return Hub()
    served = {each.qualified: each for each in (await discovery.read(host)).all}
    for record in records:
        name = str(record["metadata"]["name"])
        whole = await applying.find(host, CRDS, ObjectName("", name)) if name in wanted else None
        if whole is not None:
            definitions.append(whole)
        elif name in served:
            known = served[name]
            called = {"kind": known.kind, "plural": known.plural, "singular": known.singular}
            spec = {"group": known.group, "names": {**called, "shortNames": list(known.short_names)}}
            definitions.append({"metadata": record["metadata"], "spec": spec})
    try:
        configs = await applying.listing(host, TYPE_CONFIGS)
    except ApiFailure as error:
        if error.failure.kind is not FailureKind.TYPE_MISSING:
            raise
        configs = []
    return installed.hub(definitions, configs)


def _group_of(record: dict[str, Any]) -> str:
    return str(record["metadata"]["name"]).partition(".")[2]
