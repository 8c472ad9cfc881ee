"""Take the values of Secrets out of what is shown, as kubectl diff does: that they differ is told, no more. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

MASK = "***"
BEFORE, AFTER = f"{MASK} (before)", f"{MASK} (after)"
_VALUES = ("data", "stringData")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Document = Mapping[str, Any]
Path = tuple[str | int, ...]


def masked(document: Document) -> dict[str, Any]:
    """A Secret, or what federates one, without any value."""
    return pair(document, document)[0] or {}


def pair(before: Document | None, after: Document | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The same of two states of it: values that differ are told apart, and no more."""
    places = dict.fromkeys([*_places(before), *_places(after)])
    one, other = _copied(before), _copied(after)
    for place in places:
        mine, theirs = _at(before, place), _at(after, place)
        differ = mine is not _ABSENT and theirs is not _ABSENT and mine != theirs
        _put(one, place, BEFORE if differ else MASK)
        _put(other, place, AFTER if differ else MASK)
    return one, other


_ABSENT: Any = object()


def _places(document: Document | None) -> Sequence[Path]:
    """Where values are: in a Secret, in the template and the overrides of what federates one, and in kubectl's note."""
    found: list[Path] = []
    if not document:
        return found
    found += _of_secret(document, ())
    spec = document.get("spec")
    if isinstance(spec, dict):
        found += _of_secret(spec.get("template"), ("spec", "template"))
        for index, override in enumerate(_list(spec.get("overrides"))):
            operations = override.get("clusterOverrides") if isinstance(override, dict) else None
            for number, operation in enumerate(_list(operations)):
                if isinstance(operation, dict) and "value" in operation:
                    found.append(("spec", "overrides", index, "clusterOverrides", number, "value"))
    return found


def _of_secret(document: Any, above: Path) -> list[Path]:
    if not isinstance(document, dict):
        return []
    found: list[Path] = []
    for section in _VALUES:
        values = document.get(section)
        if isinstance(values, dict):
            found += [(*above, section, name) for name in values]
        elif values is not None:
            found.append((*above, section))
    metadata = document.get("metadata")
    notes = metadata.get("annotations") if isinstance(metadata, dict) else None
    if isinstance(notes, dict) and _LAST_APPLIED in notes:
        found.append((*above, "metadata", "annotations", _LAST_APPLIED))
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(child) for name, child in value.items()}
    return [_copied(child) for child in value] if isinstance(value, list) else value


def _at(value: Any, path: Path) -> Any:
    for step in path:
        if not _has(value, step):
            return _ABSENT
        value = value[step]
    return value


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _put(document: Any, path: Path, mask: str) -> None:
    holder = _at(document, path[:-1])
    if _has(holder, path[-1]):
        holder[path[-1]] = mask
