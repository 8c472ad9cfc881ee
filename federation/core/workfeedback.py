"""What a work asks of its copy's status, and what the copy shows by what its agent has reported. Pure.

An agent reports values at JSON paths, and a map or a list only up to 1 KiB (Open Cluster Management's API; its own
agent reports those only where a feature gate says so). So the few values that decide whether an object is well are
asked for one by one, beside the whole status where that is wanted; from them the part of the object that they are of is
put together, and read by the same rules as a member's object in push mode.
"""

import functools
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from federation.core import jsonpath, nesting, remotestatus, workloads
from federation.model import bounds
from federation.model.federated import FederatedType
from federation.model.observations import Collected, Feedback
from federation.model.resources import Resource
from federation.model.statusrules import Path, StatusRule

WHOLE = ".status"
_NOT_REPORTED = "its agent has not reported it (one of more than 1024 bytes is not reported)"
_MOST = 64
"""Values of one object: more than are ever asked for."""
_FIELDS = {"Integer": "integer", "String": "string", "Boolean": "boolean", "JsonRaw": "jsonRaw"}


def asked(enabled: FederatedType, *, staged: bool) -> tuple[str, ...]:
    """The JSON paths that a work asks for; none where nobody wants to know. `staged`: a rollout holds the object."""
    collection = enabled.collection
    if collection is None and not staged:
        return ()
    rule = collection.rule if collection is not None else None
    whole = staged or (collection is not None and collection.raw)
    return _asked(enabled.target, rule, whole=whole)


@functools.lru_cache(maxsize=1024)
def _asked(target: Resource, rule: StatusRule | None, *, whole: bool) -> tuple[str, ...]:
    paths = workloads.reads(target, rule) if rule is not None or workloads.is_known(target) else ()
    return tuple(dict.fromkeys([*([WHOLE] if whole else []), *paths]))


def name(path: str) -> str:
    """The name under which the value at a path is reported."""
    return path.removeprefix(".")


@functools.lru_cache(maxsize=4096)
def _path(reported: str) -> Path:
    return jsonpath.parse(reported if reported.startswith("[") else f".{reported}", "feedback")


# --- what was reported ------------------------------------------------------------------------------------------------


def read(manifest: Mapping[str, Any]) -> Feedback | None:
    """What is reported of one manifest of a work, by its entry in status.resourceStatus; None: nothing yet."""
    conditions = manifest.get("conditions")
    for each in conditions if isinstance(conditions, list) else ():
        if isinstance(each, dict) and each.get("type") == "StatusFeedbackSynced":
            return Feedback(orjson.dumps(_values(manifest.get("statusFeedback"))), each.get("status") == "True")
    return None


def _values(feedback: object) -> dict[str, Any]:
    values = feedback.get("values") if isinstance(feedback, dict) else None
    found: dict[str, Any] = {}
    for each in values[:_MOST] if isinstance(values, list) else ():
        field = each.get("fieldValue") if isinstance(each, dict) else None
        if not isinstance(field, dict) or not isinstance(each.get("name"), str):
            continue
        kind = str(field.get("type"))
        value = field.get(_FIELDS.get(kind, ""))
        if isinstance(value, str) and len(value) > bounds.LARGEST_REMOTE_STATUS:
            continue
        if kind == "JsonRaw":
            value = _parsed(value)
        if value is not None:
            found[each["name"]] = value
    return found


def _parsed(raw: object) -> Any:
    try:
        value = orjson.loads(raw) if isinstance(raw, str) else None
    except orjson.JSONDecodeError:
        return None
    return None if nesting.deep(value, bounds.DEEPEST_REMOTE_STATUS) else value


class Copy(msgspec.Struct, frozen=True):
    """What of a copy was reported: `item` as far as it was asked for. `whole`: all of its status is in it."""

    item: Mapping[str, Any]
    whole: bool


def copy(feedback: Feedback, paths: tuple[str, ...]) -> Copy | None:
    """What a copy shows, where these paths were asked for; None where something is missing that may be there."""
    values = orjson.loads(feedback.values)
    item: dict[str, Any] = {}
    wants = WHOLE in paths
    whole = wants and (name(WHOLE) in values or feedback.complete)
    if not feedback.complete and (not wants or whole):
        return None  # something is not reported, and it is not the whole status
    for path in paths:
        if name(path) in values:
            jsonpath.put(_path(name(path)), item, values[name(path)])
    return Copy(item, whole)


def collect(feedback: Feedback, version: int, enabled: FederatedType, *, staged: bool) -> Collected | None:
    """What is taken over of a copy's status, for a type with status collection; None where that is not known."""
    wanted = enabled.collection
    found = copy(feedback, asked(enabled, staged=staged))
    if wanted is None or found is None:
        return None
    size = len(feedback.values)
    collected = remotestatus.collected(version, found.item, size, enabled.target, wanted)
    if not wanted.raw or found.whole:
        return collected
    return msgspec.structs.replace(collected, raw=None, left_out=_NOT_REPORTED)
