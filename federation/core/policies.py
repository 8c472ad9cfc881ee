"""Read policies from the three places that may set them, and find which holds for an object. Pure.

For each policy by itself the object's annotation goes before its type's FederatedTypeConfig, and that before the
KubeFedConfig; what none of them says is as KubeFed did it. Reading is strict: an unknown word makes the object (the
type, the settings) Invalid, because to guess at a policy would be to write where somebody wanted no write.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson

from federation.core import checks, overrides
from federation.model import marks
from federation.model.errors import Invalid
from federation.model.policies import DEFAULT, NOTHING_SAID, Deletion, Drift, InForce, Pointer, Policies, Takeover

FIELD = "spec.policies"
POINTERS = 64
"""Fields to ignore, at most, and `LONGEST` characters of each; the CRDs have the same limits."""
LONGEST = 1024
_TAKEOVER, _DRIFT, _DELETION, _IGNORE = "takeover", "drift", "deletion", "ignoreFields"
_KNOWN = (_TAKEOVER, _DRIFT, _DELETION, _IGNORE)
_ANNOTATIONS = (
    marks.TAKEOVER_ANNOTATION,
    marks.DRIFT_ANNOTATION,
    marks.DELETION_ANNOTATION,
    marks.IGNORE_FIELDS_ANNOTATION,
)
_NAMES_THE_OBJECT = "says which object this is"
_REFUSED = {
    "/apiVersion": _NAMES_THE_OBJECT,
    "/kind": _NAMES_THE_OBJECT,
    "/metadata": "holds what says which object this is; name one of its labels or annotations",
    "/metadata/name": _NAMES_THE_OBJECT,
    "/metadata/namespace": _NAMES_THE_OBJECT,
    "/metadata/generateName": _NAMES_THE_OBJECT,
    "/metadata/labels": f"holds {marks.MANAGED_LABEL}; name the label that is to be ignored",
    "/metadata/annotations": f"may hold {marks.CREATED_ANNOTATION}; name the annotation that is to be ignored",
    "/metadata/labels/kubefed.io~1managed": "is the mark by which a copy is known to be ours",
    "/metadata/annotations/kubefed.io~1created-by": "is the mark by which it is known who created the copy",
    "/status": "is never pushed",
}
_BELOW_TOO = ("/apiVersion", "/kind", "/metadata/name", "/metadata/namespace", "/metadata/generateName", "/status")

_Word = TypeVar("_Word", Takeover, Drift, Deletion)


def of_spec(value: object, field: str = FIELD) -> Policies:
    """What `spec.policies` of a FederatedTypeConfig or KubeFedConfig says. Raises Invalid."""
    if value is None:
        return NOTHING_SAID
    body = checks.mapping(value, field)
    for name in body:
        if name not in _KNOWN:
            raise Invalid(f"{field}.{name}", f"is not known; use {', '.join(_KNOWN)}")
    ignored = body.get(_IGNORE)
    return Policies(
        takeover=_word(Takeover, body.get(_TAKEOVER), f"{field}.{_TAKEOVER}"),
        drift=_word(Drift, body.get(_DRIFT), f"{field}.{_DRIFT}"),
        deletion=_word(Deletion, body.get(_DELETION), f"{field}.{_DELETION}"),
        ignore_fields=None if ignored is None else _pointers(ignored, f"{field}.{_IGNORE}"),
    )


def of_object(annotations: Mapping[str, str]) -> Policies:
    """What the annotations of a federated object say. Raises Invalid."""
    if not any(name in annotations for name in _ANNOTATIONS):
        return NOTHING_SAID
    return Policies(
        takeover=_annotated(Takeover, annotations, marks.TAKEOVER_ANNOTATION),
        drift=_annotated(Drift, annotations, marks.DRIFT_ANNOTATION),
        deletion=_annotated(Deletion, annotations, marks.DELETION_ANNOTATION),
        ignore_fields=_annotated_pointers(annotations),
    )


def in_force(annotations: Mapping[str, str], enabled: Policies, everywhere: Policies) -> InForce:
    """What holds for an object with these annotations, of a type that is `enabled` so. Raises Invalid."""
    own = of_object(annotations) if annotations else NOTHING_SAID
    if own is enabled is everywhere:
        return DEFAULT  # nobody has said anything, as for nearly all
    places = (own, enabled, everywhere)
    return InForce(
        takeover=next((each.takeover for each in places if each.takeover is not None), DEFAULT.takeover),
        drift=next((each.drift for each in places if each.drift is not None), DEFAULT.drift),
        deletion=next((each.deletion for each in places if each.deletion is not None), DEFAULT.deletion),
        ignored=next((each.ignore_fields for each in places if each.ignore_fields is not None), DEFAULT.ignored),
    )


def sources(annotations: Mapping[str, str], enabled: Policies, everywhere: Policies) -> dict[str, str]:
    """Which place each policy in force comes from: `object`, `type`, `all`, or `default` where none says it."""
    own = of_object(annotations)
    places = {"object": own, "type": enabled, "all": everywhere}
    fields = {_TAKEOVER: "takeover", _DRIFT: "drift", _DELETION: "deletion", _IGNORE: "ignore_fields"}
    return {
        name: next((place for place, said in places.items() if getattr(said, field) is not None), "default")
        for name, field in fields.items()
    }


def deletion(annotations: Mapping[str, str], enabled: Policies, everywhere: Policies) -> Deletion:
    """The one policy that a removal asks for: another one that is wrong must not hold an object that is to go.

    Raises Invalid.
    """
    own = _annotated(Deletion, annotations, marks.DELETION_ANNOTATION)
    return own or enabled.deletion or everywhere.deletion or DEFAULT.deletion


def pointer(value: object, field: str) -> Pointer:
    """One field to be ignored, as a JSON pointer. Raises Invalid for what is none, or may not be left to others."""
    path = checks.string(value, field)
    quoted = checks.quote(path, 200)
    if len(path) > LONGEST:
        raise Invalid(field, f"{quoted} has more than {LONGEST} characters")
    if not path.startswith("/"):
        raise Invalid(field, f"{quoted} must be a JSON pointer: start it with /")
    if path.replace("~0", "").replace("~1", "").count("~"):
        raise Invalid(field, f"{quoted} must be a JSON pointer: write ~ as ~0 and / within a name as ~1")
    why = _REFUSED.get(path)
    above = next((each for each in _BELOW_TOO if path.startswith(f"{each}/")), "")
    if why is not None or above:
        raise Invalid(field, f"{quoted} cannot be ignored: it {why or _REFUSED[above]}")
    tokens = overrides.tokens(path)
    if "" in tokens or tokens[-1] == "-":
        raise Invalid(field, f"{quoted} must name a field")
    return tuple(tokens)


def _annotated(words: type[_Word], annotations: Mapping[str, str], name: str) -> _Word | None:
    return _word(words, annotations.get(name), _annotation(name))


def _annotated_pointers(annotations: Mapping[str, str]) -> tuple[Pointer, ...] | None:
    text, field = annotations.get(marks.IGNORE_FIELDS_ANNOTATION), _annotation(marks.IGNORE_FIELDS_ANNOTATION)
    if text is None:
        return None
    try:
        value: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, list):
        raise Invalid(field, 'must be a JSON list of JSON pointers, such as ["/spec/replicas"]')
    return _pointers(value, field)


def _annotation(name: str) -> str:
    return f"metadata.annotations[{name}]"


def _word(words: type[_Word], value: object, field: str) -> _Word | None:
    if value is None:
        return None
    known = [each.value for each in words]
    return words(checks.choice(value, field, known))


def _pointers(value: object, field: str) -> tuple[Pointer, ...]:
    items = checks.sequence(value, field)
    checks.at_most(items, POINTERS, field)
    found = [pointer(item, f"{field}[{index}]") for index, item in enumerate(items)]
    # What lies below another one goes with it.
    return tuple(each for each in dict.fromkeys(found) if not any(each[:n] in found for n in range(1, len(each))))
