"""A plan as a document: what `-o json` prints and what a file keeps. Its shape is described in docs/plan.md. Pure."""

from collections.abc import Mapping
from typing import Any

from federation.core import scrubbing
from federation.model import marks
from federation.preview import changes
from federation.preview.changes import Change, Field, Kind
from federation.preview.making import Made
from federation.preview.wishes import Wish

API_VERSION, KIND = "fedctl.kubefed.io/v1", "Plan"
NONE = "none"


def of(made: Made, *, values: bool = True) -> dict[str, Any]:
    """The whole plan; with `values` those of fields, Secrets' aside."""
    hub = [_hub(wish, made.notes.get(place, ()), values=values) for place, wish in enumerate(made.wishes)]
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "changes": made.changes,
        "summary": {str(name): count for name, count in made.findings.counts().items() if count},
        "hub": hub,
        "objects": _objects(made),
        "unknown": dict(sorted(made.silent.items())),
        "unready": {name: scrubbing.line(why) for name, why in sorted(made.unready.items())},
        "problems": list(made.problems),
    }


def is_refused(made: Made) -> bool:
    """Whether a member refuses something that the change brings."""
    return any(change.kind is Kind.REFUSE and not change.pending for _, change, _ in made.findings)


def moved(wish: Wish) -> str:
    """What a document does at the hub."""
    if wish.delete:
        return Kind.DELETE if wish.before is not None else NONE
    if wish.before is None:
        return Kind.CREATE
    return Kind.CHANGE if wish.moves else NONE


def _hub(wish: Wish, notes: Any, *, values: bool) -> dict[str, Any]:
    what = moved(wish)
    record: dict[str, Any] = {
        "kind": wish.resource.kind,
        **_where(wish.where.namespace, wish.where.name),
        "change": str(what),
        "source": wish.given.source,
    }
    if what == Kind.CHANGE and wish.before is not None and wish.after is not None:
        found = changes.fields(wish.before, wish.after, values=values and not wish.secret)
        record["fields"] = [_field(each) for each in found]
    if notes:
        record["notes"] = [scrubbing.line(each) for each in notes]
    return record


def _objects(made: Made) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for key, change, clusters in made.findings:
        record = {"type": key.type, **_where("" if key.type == marks.NAMESPACE_TYPE else key.namespace, key.name)}
        if not found or any(found[-1].get(name) != value for name, value in record.items()):
            found.append({**record, "changes": []})
        found[-1]["changes"].append(_change(change, clusters))
    return found


def _change(change: Change, clusters: list[str]) -> dict[str, Any]:
    record: dict[str, Any] = {"change": str(change.kind), "clusters": clusters}
    if change.fields:
        record["fields"] = [_field(each) for each in change.fields]
    for name in ("message", "because", "expected", "held"):
        if text := getattr(change, name):
            record[name] = scrubbing.line(str(text))
    if change.pending:
        record["pending"] = True
    return record


def _field(each: Field) -> dict[str, Any]:
    if each.hidden:
        return {"path": each.path}
    return {"path": each.path, "before": each.before, "after": each.after}


def _where(namespace: str, name: str) -> Mapping[str, str]:
    return {"namespace": namespace, "name": name} if namespace else {"name": name}
