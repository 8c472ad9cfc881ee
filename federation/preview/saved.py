"""A plan in a file: the documents, what was found, and what it rests on; and whether that still holds.

No value of a Secret is in it: of such a document there is a digest and the file that it came from, which is read again
when the plan is applied. Whether it still holds is found out by planning again, and comparing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import orjson

from federation.model import marks
from federation.model.errors import Invalid
from federation.preview import document, wishes
from federation.preview.making import How, Made
from federation.preview.wishes import Given, Wish

KIND = "SavedPlan"
_MOST_NAMED = 10
_STDIN = "<stdin>"


class Sources(NamedTuple):
    """Where documents come from: files and folders, or a folder that kustomize builds."""

    files: tuple[str, ...] = ()
    kustomization: str = ""


class _Document(msgspec.Struct, omit_defaults=True):
    """One document. `content` is left out where it holds a Secret's values: `digest` shows that it is the same one."""

    source: str
    identity: tuple[str, str, str, str]
    digest: str
    content: dict[str, Any] | None = None


class _Basis(msgspec.Struct):
    """What a plan rests on: the documents' objects at the hub, the members' identities, and their objects."""

    hub: dict[str, str]
    clusters: dict[str, str]
    members: dict[str, dict[str, str]]


class Saved(msgspec.Struct, rename="camel"):
    """The file."""

    api_version: str
    kind: str
    hub_uid: str
    system_namespace: str
    namespace: str
    manager: str
    delete: bool
    values: bool
    stored_credentials: bool
    files: tuple[str, ...]
    documents: list[_Document]
    rests_on: _Basis
    plan: dict[str, Any]
    kustomization: str = ""

    def how(self, timeout: float) -> How:
        """How it was made."""
        return How(self.namespace, self.manager, self.delete, self.values, self.stored_credentials, timeout)


class Moved(NamedTuple):
    """What is otherwise than when the plan was made."""

    what: Sequence[str]

    @property
    def message(self) -> str:
        """The first of it."""
        more = f"; and {len(self.what) - _MOST_NAMED} more" if len(self.what) > _MOST_NAMED else ""
        return "; ".join(self.what[:_MOST_NAMED]) + more


def encode(made: Made, how: How, sources: Sources) -> bytes:
    """The file's content. Raises Invalid for a Secret that was read from standard input: it could not be read again."""
    return orjson.dumps(msgspec.to_builtins(of(made, how, sources)), option=orjson.OPT_INDENT_2)


def of(made: Made, how: How, sources: Sources) -> Saved:
    """The plan as it is kept."""
    return Saved(
        document.API_VERSION,
        KIND,
        made.hub.uid,
        made.hub.namespace,
        how.namespace,
        how.manager,
        how.delete,
        how.values,
        how.stored,
        tuple(sources.files),
        [_document(wish) for wish in made.wishes],
        _basis(made),
        document.of(made, values=how.values),
        sources.kustomization,
    )


def decode(content: bytes, name: str) -> Saved:
    """A file's plan. Raises Invalid."""
    try:
        saved = msgspec.json.decode(content, type=Saved)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(name, f"is not a plan of fedctl: {error}") from None
    if (saved.api_version, saved.kind) != (document.API_VERSION, KIND):
        raise Invalid(name, f"is not a plan of this fedctl: {saved.kind} of {saved.api_version}")
    return saved


def documents(saved: Saved, read: Callable[[Sources], Iterable[Given]]) -> list[Given]:
    """The documents as they were planned; what the file does not hold is read again. Invalid: it is another now."""
    again: dict[tuple[str, str, str, str], Given] = {}
    if any(each.content is None for each in saved.documents):
        for given in read(Sources(saved.files, saved.kustomization)):
            again[_identity(given.document, "")] = given
    found = []
    for each in saved.documents:
        if each.content is not None:
            found.append(Given(each.source, each.content))
            continue
        given_again = again.get(each.identity) or again.get((*each.identity[:2], "", each.identity[3]))
        if given_again is None:
            raise Invalid(each.source, f"{each.identity[1]} {each.identity[3]} is not there any more: plan again")
        found.append(_same(given_again, each))
    return found


def _same(given: Given, planned: _Document) -> Given:
    namespace = planned.identity[2]
    same = wishes.named(Given(planned.source, given.document), namespaced=bool(namespace), namespace=namespace)
    if wishes.digest(same.document) != planned.digest:
        raise Invalid(planned.source, "is another document than the one that was planned: plan again")
    return same


def moved(saved: Saved, made: Made) -> Moved:
    """What is otherwise now: `made` is the same plan, made anew."""
    before, now = saved.rests_on, _basis(made)
    found: list[str] = []
    if saved.hub_uid != made.hub.uid:
        return Moved(["this is another hub than the one that was planned for"])
    found += [f"hub: {name} has changed" for name in _differing(before.hub, now.hub)]
    for cluster in sorted({*before.clusters, *now.clusters}):
        if before.clusters.get(cluster) != now.clusters.get(cluster):
            found.append(f"{cluster}: it has joined, left, or is another cluster")
    was, is_ = saved.plan.get("unknown", {}), made.silent
    for cluster in sorted({*was, *is_}):
        if (cluster in was) != (cluster in is_):
            found.append(f"{cluster}: {'it answers now' if cluster in was else 'it does not answer any more'}")
    for cluster in sorted({*before.members, *now.members} - {*was, *is_}):
        names = _differing(before.members.get(cluster, {}), now.members.get(cluster, {}))
        found += [f"{cluster}: {name} has changed" for name in names]
    if not found and saved.plan.get("objects") != document.of(made, values=saved.values)["objects"]:
        found.append("the controller would do something else now")
    return Moved(found)


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def _basis(made: Made) -> _Basis:
    members = {
        cluster: {f"{kind} {name}": stamp for (kind, name), stamp in sorted(seen.items())}
        for cluster, seen in sorted(made.seen.items())
    }
    clusters = {
        name: each.metadata.annotations.get(marks.IDENTITY_ANNOTATION) or each.metadata.uid
        for name, each in sorted(made.hub.clusters.items())
    }
    return _Basis({wish.label: stamp(wish) for wish in made.wishes}, clusters, members)


def stamp(wish: Wish) -> str:
    """What of an object of the hub a plan rests on: its status is the controller's, and moves."""
    if wish.before is None:
        return ""
    meta = wish.before["metadata"]
    parts = ("uid", "generation", "labels", "annotations", "deletionTimestamp")
    kept = {name: meta[name] for name in parts if name in meta}
    if "generation" not in meta:
        kept["resourceVersion"] = meta.get("resourceVersion", "")
    return wishes.digest(kept)


def _document(wish: Wish) -> _Document:
    given = wish.given
    if wish.secret and given.source.startswith(_STDIN):
        raise Invalid(
            given.source, f"{wish.label} holds a Secret's values, which no plan keeps: give it as a file, not by stdin"
        )
    content = None if wish.secret else dict(given.document)
    return _Document(given.source, _identity(given.document, ""), wishes.digest(given.document), content)


def _identity(content: Mapping[str, Any], namespace: str) -> tuple[str, str, str, str]:
    meta = content.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    return (
        str(content.get("apiVersion", "")),
        str(content.get("kind", "")),
        str(meta.get("namespace") or namespace),
        str(meta.get("name", "")),
    )
