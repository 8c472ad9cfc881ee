"""What a work wants to know of an object's status, and the conditions that it wants computed from the object.

Open Cluster Management's rules: well-known values of Deployment, DaemonSet, Job and Pod, values at JSON paths,
well-known completion of Job and Pod, and CEL expressions. A value that is a map or a list is reported as JSON of at
most 1,024 bytes. Nothing of a Secret is reported: it would leave the member.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from federation.core import expressions, jsonpath, scrubbing
from federation.model.works import COMPLETE, ConditionRule, Feedback, FeedbackPath, Manifest

LARGEST_RAW = 1_024
"""Bytes of a value that is a map or a list."""
LARGEST_TEXT = 1_024
"""Bytes of a value that is text."""
EVALUATED = "ConditionRuleEvaluated"
_LONGEST_MESSAGE = 1_024

_DEPLOYMENT = (
    ("ReadyReplicas", ".status.readyReplicas"),
    ("Replicas", ".status.replicas"),
    ("AvailableReplicas", ".status.availableReplicas"),
)
_DAEMON_SET = (
    ("NumberReady", ".status.numberReady"),
    ("DesiredNumberScheduled", ".status.desiredNumberScheduled"),
    ("NumberAvailable", ".status.numberAvailable"),
)
_JOB = (("JobComplete", '.status.conditions[?(@.type=="Complete")].status'), ("JobSucceeded", ".status.succeeded"))
_POD = (("PodReady", '.status.conditions[?(@.type=="Ready")].status'), ("PodPhase", ".status.phase"))
_WELL_KNOWN = {
    kind: tuple(FeedbackPath(name, jsonpath.parse(path, name)) for name, path in paths)
    for kind, paths in {
        ("apps", "DaemonSet"): _DAEMON_SET,
        ("apps", "Deployment"): _DEPLOYMENT,
        ("batch", "Job"): _JOB,
        ("", "Pod"): _POD,
    }.items()
}
_DONE = {("batch", "Job"): "Job", ("", "Pod"): "Pod"}


@dataclass(frozen=True, slots=True)
class Values:
    """statusFeedback.values, and why some are missing; "" where none are."""

    values: tuple[Mapping[str, Any], ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A condition that a rule gives. `status` is True, False or Unknown."""

    condition: str
    status: str
    reason: str
    message: str


def values(wanted: Feedback, manifest: Manifest, item: Mapping[str, Any]) -> Values:
    """What is reported of an object."""
    if (manifest.group, manifest.kind) == ("", "Secret"):
        return Values((), "nothing of a Secret is reported")
    paths = list(wanted.paths)
    problems: list[str] = []
    if wanted.well_known:
        known = _WELL_KNOWN.get((manifest.group, manifest.kind))
        if known is None:
            problems.append(f"there are no well-known values of {manifest.kind}")
        paths = [*(known or ()), *paths]
    found: dict[str, Mapping[str, Any]] = {}
    for each in paths:
        written, why = _read(each, manifest, item)
        if why:
            problems.append(f"{each.name}: {why}")
        elif written and each.name not in found:
            found[each.name] = {"name": each.name, "fieldValue": written}
    return Values(tuple(found.values()), scrubbing.line("; ".join(problems), _LONGEST_MESSAGE))


def _read(wanted: FeedbackPath, manifest: Manifest, item: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A value as it is reported, {} where the object has none; and why it cannot be."""
    if wanted.path is None:
        return {}, wanted.problem
    if wanted.version and wanted.version != manifest.version:
        return {}, f"is asked for in version {wanted.version}, and the manifest is in {manifest.version}"
    value = jsonpath.value(wanted.path, item)
    return ({}, "") if value is None else _written(value)


def _written(value: Any) -> tuple[dict[str, Any], str]:
    match value:
        case bool():
            return {"type": "Boolean", "boolean": value}, ""
        case int():
            return {"type": "Integer", "integer": value}, ""
        case str():
            size = len(value.encode("utf-8", "replace"))
            return ({"type": "String", "string": value}, "") if size <= LARGEST_TEXT else ({}, _too_long(size))
        case dict() | list():
            raw = orjson.dumps(value)
            if len(raw) > LARGEST_RAW:
                return {}, _too_long(len(raw))
            return {"type": "JsonRaw", "jsonRaw": raw.decode()}, ""
    return {}, "a value of this type cannot be reported"


def _too_long(size: int) -> str:
    return f"its {size} bytes are more than the {LARGEST_RAW} that are reported"


def conditions(
    rules: Sequence[ConditionRule], manifest: Manifest, item: Mapping[str, Any], size: int
) -> tuple[Evaluated, ...]:
    """What the rules say of an object of so many bytes. CEL takes milliseconds to seconds: call it in a thread."""
    found = (_evaluate(rule, manifest, item, size) for rule in rules)
    return tuple(each for each in found if each is not None)


def _evaluate(rule: ConditionRule, manifest: Manifest, item: Mapping[str, Any], size: int) -> Evaluated | None:
    """None for a well-known condition that the kind does not have."""
    if (manifest.group, manifest.kind) == ("", "Secret"):
        return Evaluated(rule.condition, "Unknown", "ConditionRuleInvalid", "nothing of a Secret is reported")
    if rule.problem:
        return Evaluated(
            rule.condition, "Unknown", "ConditionRuleInvalid", scrubbing.line(rule.problem, _LONGEST_MESSAGE)
        )
    if rule.well_known:
        kind = _DONE.get((manifest.group, manifest.kind))
        if kind is None or rule.condition != COMPLETE:
            return None
        done, message = _is_done(kind, item)
        return Evaluated(rule.condition, _text(done), EVALUATED, _message(rule, item, done, message))
    if not rule.expressions:
        return Evaluated(rule.condition, "Unknown", "ConditionRuleInvalid", "the rule has no celExpressions")
    why = expressions.unmet(rule.expressions, item, size)
    true = not why
    if why and not why.endswith(" is not true"):
        return Evaluated(rule.condition, "False", "ConditionRuleExpressionError", why)
    message = f"Manifest is {'' if true else 'not '}{rule.condition}"
    return Evaluated(rule.condition, _text(true), EVALUATED, _message(rule, item, true, message))


def _is_done(kind: str, item: Mapping[str, Any]) -> tuple[bool, str]:
    status = item.get("status")
    status = status if isinstance(status, dict) else {}
    if kind == "Pod":
        phase = status.get("phase")
        return phase in ("Succeeded", "Failed"), f"Pod is in phase {scrubbing.reason(phase) or 'unknown'}"
    found = status.get("conditions")
    done = any(
        isinstance(each, dict) and each.get("type") in ("Complete", "Failed") and each.get("status") == "True"
        for each in (found if isinstance(found, list) else ())
    )
    return done, "Job is finished" if done else "Job is not finished"


def _message(rule: ConditionRule, item: Mapping[str, Any], result: bool, otherwise: str) -> str:
    if rule.message_expression:
        said = expressions.text(rule.message_expression, item, result=result)
        if said:
            return scrubbing.line(said, _LONGEST_MESSAGE)
    return scrubbing.line(rule.message or otherwise, _LONGEST_MESSAGE)


def _text(value: bool) -> str:
    return "True" if value else "False"
