"""Read `spec.statusCollection` and `spec.health` of a FederatedTypeConfig. Pure.

`spec.health` tells when an object of a type that this project does not know is well: what is to be found in its
status, and where its replicas are counted. Nothing outside of spec and status can be named.
"""

from collections.abc import Mapping
from typing import Any

from federation.core import checks, jsonpath
from federation.model.errors import Invalid
from federation.model.resources import SECRETS, Resource
from federation.model.statusrules import Expectation, Path, StatusCollection, StatusRule

FIELD = "spec.health"
MOST = 16
"""Expectations, and values of one."""
_COUNTS = ("desired", "ready", "updated")
_KNOWN = ("healthy", *_COUNTS)
_ROOTS = ("spec", "status")


def collection(spec: Mapping[str, Any], target: Resource) -> StatusCollection | None:
    """How statuses of the type are collected; None: they are not. Raises Invalid.

    Whether they are reported raw is for the settings to say. Of Secrets nothing is collected: they have no status, and
    to observe them whole would bring their data here.
    """
    rule = of_spec(spec.get("health"))
    wanted = checks.choice(
        spec.get("statusCollection"), "spec.statusCollection", ("Enabled", "Disabled"), default="Disabled"
    )
    is_secret = (target.group, target.plural) == (SECRETS.group, SECRETS.plural)
    return StatusCollection(rule=rule) if wanted == "Enabled" and not is_secret else None


def of_spec(found: object) -> StatusRule | None:
    """What `spec.health` says; None where nothing does. Raises Invalid."""
    if found is None:
        return None
    body = checks.mapping(found, FIELD)
    for name in body:
        if name not in _KNOWN:
            raise Invalid(f"{FIELD}.{name}", f"is not known; use {', '.join(_KNOWN)}")
    items = checks.sequence(body.get("healthy"), f"{FIELD}.healthy")
    checks.at_most(items, MOST, f"{FIELD}.healthy")
    healthy = tuple(_expectation(each, f"{FIELD}.healthy[{index}]") for index, each in enumerate(items))
    counts = {name: _path(body[name], f"{FIELD}.{name}") if body.get(name) is not None else None for name in _COUNTS}
    if (counts["ready"] is None) != (counts["desired"] is None):
        raise Invalid(FIELD, "needs both of desired and ready, or none of them")
    if counts["updated"] is not None and counts["desired"] is None:
        raise Invalid(f"{FIELD}.updated", "needs desired and ready beside it")
    if not healthy and counts["ready"] is None:
        raise Invalid(FIELD, "says nothing; give healthy, or desired and ready")
    return StatusRule(healthy, **counts)


def _expectation(found: object, field: str) -> Expectation:
    body = checks.mapping(found, field)
    for name in body:
        if name not in ("path", "values"):
            raise Invalid(f"{field}.{name}", "is not known; use path, values")
    values = checks.sequence(body.get("values"), f"{field}.values")
    checks.at_most(values, MOST, f"{field}.values")
    texts = tuple(checks.string(each, f"{field}.values[{index}]") for index, each in enumerate(values))
    return Expectation(_path(body.get("path"), f"{field}.path"), texts)


def _path(found: object, field: str) -> Path:
    path = jsonpath.parse(checks.string(found, field), field)
    if path.steps[0] not in _ROOTS:
        raise Invalid(field, "must begin with .spec or .status")
    return path
