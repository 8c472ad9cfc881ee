"""Read a FederatedRollout: its spec and the requests in its annotations become a Wish, its status a Record.

What the CRD's schema refuses is checked again, as for federated objects (parsing): what is wrong becomes a condition of
the rollout, and until it is mended nothing of the rollout changes.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from federation.core import checks, configuration, rollouts, selectors
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.federated import StoredObject
from federation.model.rollouts import NONE, Amount, Entry, Record, Stage, Window, Wish

STAGES = 16
"""Stages, at most; the CRD has the same limits."""
NAMES = 1_000
"""Clusters that a stage names, at most."""
WINDOWS = 16
"""Windows of a stage, at most."""
EXPRESSIONS = 16
"""Expressions of a stage, at most."""
HISTORY = 50
"""Revisions that are kept though no cluster has them, at most."""
OBJECTS = 64
"""Objects of one rollout, at most."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_SHARE = re.compile(r"([1-9][0-9]?|100)%")
_STAGE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_APPROVAL = re.compile(r"([0-9]{1,9})/([-a-z0-9]{1,63})")
_MINUTES_OF_A_WEEK = 7 * 24 * 60


def wish(stored: StoredObject, objects: Sequence[Entry]) -> Wish:
    """What a FederatedRollout asks for, for these objects. Raises Invalid."""
    if stored.broken:
        raise Invalid("", f"cannot be read: {stored.broken}")
    if len(objects) > OBJECTS:
        raise Invalid("", f"{len(objects)} federated objects name it in label {marks.ROLLOUT_LABEL}; at most {OBJECTS}")
    spec, annotations = stored.spec, stored.metadata.annotations
    return Wish(
        stages=_stages(spec.get("stages")),
        objects=tuple(sorted(objects, key=lambda each: each.what)),
        paused=checks.boolean(spec.get("paused"), "spec.paused", default=False),
        approved=_approved(annotations.get(marks.APPROVED_ANNOTATION)),
        undone=_undone(annotations.get(marks.UNDONE_ANNOTATION)),
        history=_number(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit", 10, most=HISTORY),
    )


def record(stored: StoredObject) -> Record:
    """The record that the hub has. Raises Invalid: then nothing may be concluded, and nothing is released."""
    try:
        return msgspec.convert(stored.status.get("record") or {}, Record)
    except msgspec.ValidationError as error:
        raise Invalid("status.record", f"is not what the controller wrote: {error}") from error


def _stages(value: object) -> tuple[Stage, ...]:
    items = checks.sequence(value, "spec.stages")
    if not items:
        raise Invalid("spec.stages", "is required: name at least one stage")
    checks.at_most(items, STAGES, "spec.stages")
    stages = tuple(_stage(item, f"spec.stages[{index}]") for index, item in enumerate(items))
    names = [each.name for each in stages]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Invalid(f"spec.stages[{index}].name", f"{name} is the name of another stage, too")
    return stages


def _stage(value: object, where: str) -> Stage:
    body = checks.mapping(value, where)
    name = checks.string(body.get("name"), f"{where}.name")
    if not _STAGE_NAME.fullmatch(name):
        raise Invalid(f"{where}.name", f"{checks.quote(name)} must be lower case letters, digits and '-'")
    if name == rollouts.REST.name:
        raise Invalid(f"{where}.name", f"{name} is the last stage's, which has all clusters that no other has taken")
    names, selector = body.get("clusters"), body.get("clusterSelector")
    if (names is None) == (selector is None):
        raise Invalid(where, "must have either clusters or clusterSelector")
    if selector is not None:
        selectors.check(selector, f"{where}.clusterSelector")
    gates = checks.mapping(body.get("gates"), f"{where}.gates")
    return Stage(
        name,
        names=None if names is None else _names(names, f"{where}.clusters"),
        selector=selector,
        amount=_amount(body.get("amount"), f"{where}.amount"),
        soak=_duration(gates.get("soak"), f"{where}.gates.soak"),
        tolerate=_number(gates.get("maxUnhealthy"), f"{where}.gates.maxUnhealthy", 0, most=NAMES),
        approval=checks.boolean(gates.get("approval"), f"{where}.gates.approval", default=False),
        windows=_windows(body.get("windows"), f"{where}.windows"),
        gates=_expressions(gates.get("expressions"), f"{where}.gates.expressions"),
    )


def _expressions(value: object, where: str) -> Mapping[str, tuple[str, ...]]:
    """By the type that they are about; whether they are CEL is not looked at here."""
    items = checks.sequence(value, where)
    checks.at_most(items, EXPRESSIONS, where)
    found: dict[str, tuple[str, ...]] = {}
    for index, item in enumerate(items):
        body = checks.mapping(item, f"{where}[{index}]")
        name = checks.string(body.get("type"), f"{where}[{index}].type")
        text = checks.string(body.get("expression"), f"{where}[{index}].expression")
        found[name] = (*found.get(name, ()), text)
    return found


def _names(value: object, where: str) -> tuple[str, ...]:
    items = checks.sequence(value, where)
    if not items:
        raise Invalid(where, "must name at least one cluster")
    checks.at_most(items, NAMES, where)
    return tuple(checks.string(item, f"{where}[{index}]") for index, item in enumerate(items))


def _amount(value: object, where: str) -> Amount | None:
    if value is None:
        return None
    if isinstance(value, str) and (found := _SHARE.fullmatch(value)):
        return Amount(int(found[1]), share=True)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Invalid(where, "must be a number of clusters over 0, or a share such as 10%")
    return Amount(value)


def _windows(value: object, where: str) -> tuple[Window, ...]:
    items = checks.sequence(value, where)
    checks.at_most(items, WINDOWS, where)
    return tuple(_window(item, f"{where}[{index}]") for index, item in enumerate(items))


def _window(value: object, where: str) -> Window:
    body = checks.mapping(value, where)
    start = checks.string(body.get("start"), f"{where}.start")
    found = _TIME.fullmatch(start)
    if found is None:
        raise Invalid(f"{where}.start", f"{checks.quote(start)} must be a time of the day in UTC, such as 22:00")
    seconds = _duration(checks.string(body.get("duration"), f"{where}.duration"), f"{where}.duration")
    minutes = int(seconds // 60)
    if not 1 <= minutes <= _MINUTES_OF_A_WEEK:
        raise Invalid(f"{where}.duration", "must be between a minute and a week")
    named = checks.sequence(body.get("days"), f"{where}.days") or _DAYS
    days = frozenset(
        _DAYS.index(checks.choice(day, f"{where}.days[{index}]", _DAYS)) for index, day in enumerate(named)
    )
    return Window(days, int(found[1]) * 60 + int(found[2]), minutes)


def _duration(value: object, where: str) -> float:
    return 0.0 if value is None else configuration.parse_duration(checks.string(value, where), where)


def _number(value: object, where: str, default: int, *, most: int) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Invalid(where, f"must be a whole number from 0 to {most}")
    return value


def _approved(text: str | None) -> tuple[int, str]:
    """What somebody has approved; a text that names no stage of a revision approves nothing."""
    found = _APPROVAL.fullmatch(text or "")
    return (int(found[1]), found[2]) if found is not None else (NONE, "")


def _undone(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else NONE
