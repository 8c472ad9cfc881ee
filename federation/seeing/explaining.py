"""What is said of a federated object in every cluster, as a document: what `fedctl explain` shows. Pure.

Its shape is described in docs/seeing.md. Values of Secrets are in none of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.controllers.world import TypeState
from federation.core import cordons, differences, overrides, policies, scrubbing
from federation.core.facts import Facts
from federation.core.kept import Kept
from federation.model import marks
from federation.model.conditions import ClusterConditionType, ConditionType, PropagationStatus
from federation.model.errors import Invalid
from federation.model.federated import FederatedObject, StoredObject
from federation.model.plan import Keep, Wait
from federation.model.resources import SECRETS, Key, ObjectName
from federation.preview import changes, handed
from federation.seeing import masking, retries, selection
from federation.seeing.selection import Selected
from federation.seeing.standing import Outlook, Standing

API_VERSION, KIND = "fedctl.kubefed.io/v1", "Explanation"
_PLACES = {
    "object": "its annotation",
    "type": "FederatedTypeConfig {}",
    "all": "the KubeFedConfig",
    "default": "default",
}
_OVERRIDE = "spec.overrides[{}].clusterOverrides[{}]"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one object: the hub's document, its `lines` (cli's reading of status.clusters), how it stands in
    the clusters that were asked, and why others did not answer. `values`: those of fields are shown."""

    outlook: Outlook
    key: Key
    found: Mapping[str, Any]
    lines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    standings: Mapping[str, Standing] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    values: bool = True

    @property
    def secret(self) -> bool:
        """Whether it holds a Secret's values."""
        return self.state.type.target.qualified == SECRETS.qualified

    @property
    def state(self) -> TypeState:
        """Its type."""
        return self.outlook.world.types[self.key.type]


def document(known: Known, clusters: Sequence[str]) -> dict[str, Any]:
    """The whole explanation, of these clusters."""
    facts = known.outlook.facts(known.key)
    plan = known.outlook.plan(known.key, facts)
    chosen = selection.of(facts, _namespace(known))
    metadata = known.found["metadata"]
    record: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "object": {"kind": known.found.get("kind"), **_where(metadata)},
        "type": known.key.type,
        "generation": metadata.get("generation"),
        "observedGeneration": (known.found.get("status") or {}).get("observedGeneration"),
        "policies": _policies(known, facts),
        "notes": [scrubbing.line(each) for each in _notes(known, facts, plan)],
        "clusters": [_cluster(known, name, chosen[name]) for name in clusters],
    }
    return record


def _where(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: metadata[name] for name in ("namespace", "name") if metadata.get(name)}


# --- the object as a whole -------------------------------------------------------------------------------------------


def _policies(known: Known, facts: Facts) -> list[dict[str, Any]]:
    annotations, of_type = facts.object.metadata.annotations, facts.type.policies
    try:
        held = policies.in_force(annotations, of_type, facts.policies)
        places = policies.sources(annotations, of_type, facts.policies)
    except Invalid as error:
        return [{"policy": "invalid", "value": scrubbing.line(str(error)), "from": "its annotation"}]
    ignored = ["/" + "/".join(each.replace("~", "~0").replace("/", "~1") for each in path) for path in held.ignored]
    values = {"takeover": held.takeover, "drift": held.drift, "deletion": held.deletion, "ignoreFields": ignored}
    return [
        {
            "policy": name,
            "value": value if isinstance(value, list) else str(value),
            "from": _PLACES[places[name]].format(known.key.type),
        }
        for name, value in values.items()
        if value != []
    ]


def _notes(known: Known, facts: Facts, plan: Any) -> Iterator[str]:
    metadata = facts.object.metadata
    if metadata.deletion_timestamp:
        yield f"it is being deleted since {metadata.deletion_timestamp}"
    if plan.message:
        yield plan.message
    if plan.nowhere:
        yield f"no cluster is selected: {plan.nowhere}"
    if plan.unjoined:
        yield f"its placement names {', '.join(plan.unjoined)}: no such cluster has joined"
    yield from plan.warnings
    if plan.held:
        yield plan.held
    for condition in _conditions(known.found):
        if condition.get("type") == ConditionType.DELETIONS_HELD:
            yield f"deletions are held ({condition.get('reason')}): {condition.get('message')}"
    recovery = known.outlook.world.recovery
    if recovery is not None:
        yield f"removals are held since the hub was restored: {recovery.why or 'fedctl recovery status'}"
    if (facts.object.metadata.annotations.get(marks.PROTECTION_ANNOTATION) or "false") != "false":
        yield f"annotation {marks.PROTECTION_ANNOTATION} protects its copies from removal"
    yield from known.outlook.problems


def _namespace(known: Known) -> FederatedObject | None:
    spaces = known.outlook.world.types.get(marks.NAMESPACE_TYPE)
    where = known.key.namespace
    return spaces.objects.get(ObjectName(where, where)) if spaces is not None and where else None


# --- one cluster -----------------------------------------------------------------------------------------------------


def _cluster(known: Known, name: str, chosen: Selected) -> dict[str, Any]:
    stored = known.outlook.hub.clusters[name]
    record: dict[str, Any] = {"cluster": name, "selected": chosen.selected, "because": scrubbing.line(chosen.because)}
    cordon = cordons.reason(stored.metadata.annotations)
    if cordon is not None:
        record["cordoned"] = cordon or "no reason is given"
    if unready := _unready(stored):
        record["notReady"] = unready
    line = known.lines.get(name)
    if line is not None:
        record["reported"] = {key: value for key, value in line.items() if key != "cluster" and value not in (None, "")}
    if name in known.silent:
        record["unknown"] = known.silent[name]
    standing = known.standings.get(name)
    if standing is not None:
        record |= _standing(known, standing, chosen)
    waits = list(_waits(known, name, standing))
    return record | ({"waits": waits} if waits else {})


def _standing(known: Known, standing: Standing, chosen: Selected) -> dict[str, Any]:
    record: dict[str, Any] = {}
    if standing.way is not None:
        record["way"] = dict(standing.way)
    if standing.unread:
        record["unknown"] = scrubbing.line(standing.unread)
    elif standing.way is not None:
        record["unknown"] = handed.UNSEEN
    else:
        record["there"] = standing.there is not None
    record["now"] = _now(standing)
    if chosen.selected is False:
        return record
    if standing.made is None:
        record["refused"] = scrubbing.line(standing.unmade)
        return record
    record["apiVersion"] = standing.made.api_version
    if found := list(_overrides(known, standing)):
        record["overrides"] = found
    if standing.kept:
        record["different"] = [_different(known, standing, each) for each in standing.kept]
    record["manifest"] = masking.masked(standing.made.body) if known.secret else standing.made.body
    return record


def _now(standing: Standing) -> dict[str, Any]:
    """What the controller would do there now."""
    change = standing.change
    if change is None:
        return {"change": "none", "message": _nothing(standing)}
    record: dict[str, Any] = {"change": str(change.kind)}
    for name in ("message", "because"):
        if text := getattr(change, name):
            record[name] = scrubbing.line(text)
    if change.fields:
        record["fields"] = [_field(each) for each in change.fields]
    return record


def _nothing(standing: Standing) -> str:
    if standing.unread:
        return "not known"
    if standing.way is not None:
        return "its work is as it should be" if isinstance(standing.action, Keep) else "nothing is to be written"
    if isinstance(standing.action, Keep):
        note = standing.action.note
        return f"it is as it should be{f'; {note}' if note else ''}"
    return "nothing is to be done" if standing.there is None else "nothing would change"


def _field(each: changes.Field) -> dict[str, Any]:
    return {"path": each.path} if each.hidden else {"path": each.path, "before": each.before, "after": each.after}


def _overrides(known: Known, standing: Standing) -> Iterator[dict[str, Any]]:
    """What each override changes; in the order in which they are applied."""
    for number, step in enumerate(standing.steps):
        place, path = _OVERRIDE.format(standing.override, number), scrubbing.line(step.operation.path)
        record: dict[str, Any] = {"override": place, "op": step.operation.op, "path": path}
        if known.values and not known.secret:
            record |= {"before": _value(step.before), "after": _value(step.after)}
        yield record


def _different(known: Known, standing: Standing, each: Kept) -> dict[str, Any]:
    """One field that the member has otherwise."""
    record: dict[str, Any] = {"path": scrubbing.field(each.path, secret=known.secret)}
    if known.values and not known.secret:
        record |= {"sent": _value(each.wanted), "there": _value(each.there)}
    record["managers"] = [scrubbing.line(manager) for manager in each.managers]
    record["why"] = _why(known, standing, each)
    return record


def _why(known: Known, standing: Standing, each: Kept) -> str:
    made, ours = standing.made, {known.outlook.hub.manager, *marks.second_managers(known.outlook.hub.manager)}
    if made is not None and any(each.path == _dotted(path) for path in made.ignored):
        return "policy ignoreFields leaves it to the member"
    if made is not None and made.retain and each.path == ".spec.replicas":
        return "retainReplicas leaves it to the member"
    change = standing.change
    if change is not None and any(field.path == each.path for field in change.fields):
        return "it is put back with the next push"
    if isinstance(standing.action, Wait):
        return "nothing is written there now"
    if each.there is differences.ABSENT and not each.managers:
        return "the cluster does not know the field, or takes it out"
    if set(each.managers) <= ours:
        return "its API server, or a webhook there, writes it so"
    return "left to who owns it"


def _dotted(path: Sequence[str]) -> str:
    return "".join(f".{step}" for step in path)


def _waits(known: Known, name: str, standing: Standing | None) -> Iterator[dict[str, str]]:
    """What waits there, for what, and when it is tried again."""
    line = known.lines.get(name, {})
    reported = str(line.get("state") or "")
    if reported and reported != PropagationStatus.OK.shown:
        yield {
            "state": reported,
            "for": scrubbing.line(str(line.get("message") or "")),
            "again": retries.when(reported),
        }
    action = standing.action if standing is not None else None
    if isinstance(action, Wait) and action.status != reported:
        yield {"state": str(action.status), "for": scrubbing.line(action.message), "again": retries.when(action.status)}


def _unready(stored: StoredObject) -> dict[str, str]:
    """Why the controller does not reach a cluster, and since when; empty where it does."""
    for each in stored.conditions:
        if each.get("type") == ClusterConditionType.READY and each.get("status") != "True":
            names = ("reason", "message", "lastTransitionTime")
            return {name: scrubbing.line(str(each[name])) for name in names if each.get(name)}
    return {}


def _conditions(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    conditions = (found.get("status") or {}).get("conditions")
    return [each for each in conditions if isinstance(each, dict)] if isinstance(conditions, list) else []


def _value(value: Any) -> str | None:
    if value is overrides.ABSENT:
        return None
    return changes.shown(value)
