"""Find where a member's object is not what its manifest says, and who owns each such field. Pure.

What only others have set, beside the manifest, is no difference: server-side apply leaves it to them. What the manifest
sets and the member has otherwise is one, whatever the reason: somebody owns the field, the policies leave it alone, the
member does not know it, or its API server or a webhook writes it in another way.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.core import differences, fieldsets, fieldvalues, managedfields
from federation.core.fieldsets import Fields
from federation.core.managedfields import Entry
from federation.model import marks

_NOT_COMPARED = frozenset({"apiVersion", "kind", "status"})
_NOTES = ("labels", "annotations")


@dataclass(frozen=True, slots=True)
class Kept:
    """One field: its `path`, as conflicts name it, what the manifest says and what is `there`
    (differences.ABSENT: nothing), and the field managers that own it."""

    path: str
    wanted: Any
    there: Any
    managers: tuple[str, ...] = ()


def kept(manifest: Mapping[str, Any], there: Mapping[str, Any], entries: Sequence[Entry]) -> list[Kept]:
    """The fields of a manifest that the member's object has otherwise, in the manifest's order as far as it has one."""
    wanted, present = _compared(manifest), _compared(there)
    owned = [(each.manager, managedfields.fields_of(each)) for each in entries if not each.subresource]
    naming: Fields = {}
    for _, fields in owned:
        naming = fieldsets.union(naming, fields)
    paths = [
        *fieldsets.paths(fieldvalues.differing(wanted, present, naming)),
        *fieldsets.paths(fieldvalues.unowned(wanted, naming)),
    ]
    return [
        Kept(_named(path), *values, tuple(dict.fromkeys(_owners(owned, path))))
        for path in dict.fromkeys(paths)
        if not _is_mark(path) and (values := _values(wanted, present, path, naming)) is not None
    ]


def _values(wanted: Any, there: Any, path: Sequence[str], naming: Fields) -> tuple[Any, Any] | None:
    asked, present = fieldvalues.at(wanted, path, naming), fieldvalues.at(there, path, naming)
    if asked == present or asked in (None, {}, []):  # nothing is asked for there
        return None
    return _shown(asked), _shown(present)


def _shown(value: Any) -> Any:
    return differences.ABSENT if value is fieldvalues.ABSENT else value


def _owners(owned: Sequence[tuple[str, Fields]], path: Sequence[str]) -> Iterator[str]:
    return (manager for manager, fields in owned if fieldsets.covers(fields, path))


def _named(path: Sequence[str]) -> str:
    return next(differences.names(fieldsets.single(*path)))


def _is_mark(path: Sequence[str]) -> bool:
    return path[-1] in {f"f:{marks.MANAGED_LABEL}", f"f:{marks.CREATED_ANNOTATION}"}


def _compared(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest can say of an object, but for what says which object it is."""
    metadata = content.get("metadata") or {}
    notes = {name: metadata[name] for name in _NOTES if metadata.get(name)}
    own = {name: value for name, value in content.items() if name not in _NOT_COMPARED}
    return {**own, "metadata": notes}
