"""Several objects in one ManifestWork: which work an object goes to, how a work is edited, and what one shows. Pure.

What is in a work is read from the work (its annotation `work.kubefed.io/objects` has one entry for each manifest, in
their order), never from memory, so that a controller that is started anew, and a hub that was restored, go on with what
is there. An object stays in the work that it is in. Edits are JSON patches that hold for one generation of the spec
alone, so that two writers never mix theirs; they carry the manifests that change and no others.

A copy goes when its entry has moved to `work.kubefed.io/taken-out`. That is the proof which its agent asks for, and the
agent has done it when it has reported that generation and does not name the copy any more.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from federation.core import managedfields, workfeedback, works
from federation.core.works import SeenWork, WorkMetadata
from federation.model import works as names
from federation.model.bundles import Bundle, Entry, Taken
from federation.model.observations import ObservedWork, Said
from federation.model.resources import SECRETS, Key, ObjectName
from federation.model.works import MANIFEST_WORKS, Identifier, Propagation

MOST = 250
"""Objects in one work: the entries of more would not fit into its annotations, which have 256 KiB."""
_LONGEST_WHY = 100

_entries = msgspec.json.Decoder(tuple[Entry, ...])
_taken = msgspec.json.Decoder(tuple[Taken, ...])


@dataclass(frozen=True, slots=True)
class Piece:
    """What one object brings to a work: its manifest and its options, as `works.body` has them for a work alone."""

    key: Key
    what: Identifier
    digest: str
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    size: int
    stays: bool

    def entry(self, id_: str, generation: int) -> Entry:
        """What the work records of it."""
        qualified = f"{self.what.resource}.{self.what.group}" if self.what.group else self.what.resource
        own, target = str(ObjectName(self.key.namespace, self.key.name)), str(self.what.where)
        return Entry(
            id_,
            self.key.type,
            own,
            "" if qualified == self.key.type else qualified,
            "" if target == own else target,
            self.digest,
            generation,
            self.size,
            self.stays,
        )


def piece(body: bytes) -> Piece:
    """What `works.body` says, as a part of a work."""
    work = orjson.loads(body)
    annotations, spec = work["metadata"]["annotations"], work["spec"]
    (manifest,), (config,) = spec["workload"]["manifests"], spec["manifestConfigs"]
    namespace, _, name = annotations[names.OBJECT_ANNOTATION].rpartition("/")
    return Piece(
        Key(annotations[names.TYPE_ANNOTATION], namespace, name),
        Identifier(**config["resourceIdentifier"]),
        annotations[names.DIGEST_ANNOTATION],
        manifest,
        config,
        len(orjson.dumps(manifest)) + len(orjson.dumps(config)),
        spec["deleteOption"]["propagationPolicy"] == Propagation.ORPHAN,
    )


# --- which work -------------------------------------------------------------------------------------------------------


def assign(there: Iterable[Bundle], pieces: Sequence[Piece], limit: int) -> tuple[dict[str, list[Piece]], list[Piece]]:
    """New objects: which go to which work that is there, the first by its name that has room, and which to none."""
    room = {
        each.name: (limit - each.size, MOST - len(each.entries))
        for each in sorted(there, key=lambda each: (len(each.name), each.name))
        if not each.deleting and not each.noted
    }
    placed: dict[str, list[Piece]] = {}
    left: list[Piece] = []
    for new in pieces:
        for name, (size, count) in room.items():
            if new.size <= size and count > 0:
                room[name] = size - new.size, count - 1
                placed.setdefault(name, []).append(new)
                break
        else:
            left.append(new)
    return placed, left


def filled(pieces: Sequence[Piece], limit: int) -> list[list[Piece]]:
    """Objects that no work has room for, as new works have them."""
    works_: list[list[Piece]] = []
    size = 0
    for new in pieces:
        if not works_ or size + new.size > limit or len(works_[-1]) >= MOST:
            works_.append([])
            size = 0
        works_[-1].append(new)
        size += new.size
    return works_


def name(manager: str, known: Iterable[str]) -> str:
    """The first name for a work of the hub of this field manager that nobody has."""
    taken = set(known)
    prefix = f"bundle-{hashlib.sha256(manager.encode()).hexdigest()[:8]}"
    return next(found for number in range(1, len(taken) + 2) if (found := f"{prefix}-{number}") not in taken)


# --- edits ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one work: `puts` come or change; those with the ids in `takes` go, and why. Of those with the ids
    in `stays` the agent is told that their copies stay when they go."""

    puts: tuple[Piece, ...] = ()
    takes: Mapping[str, str] = field(default_factory=dict)
    stays: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.puts or self.takes or self.stays)


@dataclass(frozen=True, slots=True)
class Edit:
    """The JSON patch that carries out a change, and the work as it is then, but for its version."""

    operations: list[dict[str, Any]]
    after: Bundle


def edit(bundle: Bundle, change: Change) -> Edit:
    """Carry out a change of a work that is `intact`: what does not change is not sent."""
    after, puts, gone = _after(bundle, change)
    index = {each.id: at for at, each in enumerate(bundle.entries)}
    operations = _tests(bundle)
    for id_, put in puts.items():
        place, verb = index.get(id_, "-"), "replace" if id_ in index else "add"
        for path, value in zip(_LISTS, (put.manifest, put.config), strict=True):
            operations.append({"op": verb, "path": path.format(place), "value": value})
    for at in sorted((index[id_] for id_ in gone), reverse=True):
        operations += [{"op": "remove", "path": path.format(at)} for path in _LISTS]
    operations.append({"op": "add", "path": "/spec/deleteOption", "value": _option(after)})
    return Edit([*operations, *_notes(after, unmark=bundle.noted)], after)


_LISTS = ("/spec/workload/manifests/{}", "/spec/manifestConfigs/{}")


def mend(bundle: Bundle, spec: Mapping[str, Any], change: Change) -> Edit:
    """Carry out a change of a work whose `spec` somebody else has changed: all of it is written.

    Manifests are known by what they name; what is in them may not be ours, so that all are to be written again. What is
    missing is no entry any more, and comes again as a new one: the agent holds it meanwhile. Where the last write has
    changed nothing of the spec, so that its generation is not the expected one, all is as it was written.
    """
    found = _manifests(spec)
    there = [each for each in bundle.entries if each.what in found]
    if bundle.next != bundle.generation:
        there = [msgspec.structs.replace(each, digest="") for each in there]
    after, puts, _ = _after(replace_entries(bundle, there), change)
    pairs = [
        (puts[each.id].manifest, puts[each.id].config) if each.id in puts else found[each.what]
        for each in after.entries
    ]
    whole = {
        **spec,
        "deleteOption": _option(after),
        "manifestConfigs": [config for _, config in pairs],
        "workload": {"manifests": [manifest for manifest, _ in pairs]},
    }
    operations = [*_tests(bundle), {"op": "replace", "path": "/spec", "value": whole}]
    return Edit([*operations, *_notes(after, unmark=bundle.noted)], after)


def created(name_: str, cluster: str, manager: str, pieces: Sequence[Piece]) -> tuple[bytes, Bundle]:
    """A new work as the hub of this field manager creates it (see works.created), and what it is then."""
    entries = tuple(each.entry(f"1.{number}", 1) for number, each in enumerate(pieces))
    after = Bundle(name_, "", 1, 0, 2, entries)
    metadata = {
        "name": name_,
        "namespace": cluster,
        "labels": {names.HUB_LABEL: manager, names.BUNDLE_LABEL: "true"},
        "finalizers": [names.WORK_FINALIZER],
        "annotations": {names.OBJECTS_ANNOTATION: _json(entries), names.GENERATION_ANNOTATION: "1"},
    }
    spec = {
        "deleteOption": _option(after),
        "manifestConfigs": [each.config for each in pieces],
        "workload": {"manifests": [each.manifest for each in pieces]},
    }
    work = {"apiVersion": MANIFEST_WORKS.api_version, "kind": MANIFEST_WORKS.kind, "metadata": metadata, "spec": spec}
    return orjson.dumps(work), after


def replace_entries(bundle: Bundle, entries: Iterable[Entry]) -> Bundle:
    """The same work with these entries."""
    return msgspec.structs.replace(bundle, entries=tuple(entries))


def removal(bundle: Bundle, stays: Iterable[str]) -> dict[str, Any]:
    """The deleteOption by which all objects of a work go, but those with these ids, which stay in the member."""
    ids = frozenset(stays)
    return _option(
        replace_entries(bundle, [msgspec.structs.replace(each, stays=each.id in ids) for each in bundle.entries])
    )


def _after(bundle: Bundle, change: Change) -> tuple[Bundle, dict[str, Piece], set[str]]:
    """The work afterwards, what is put by the ids of its entries, and the ids that go."""
    generation = bundle.next
    known = {each.key: each for each in bundle.entries}
    puts: dict[str, Piece] = {}
    for number, put in enumerate(change.puts):
        entry = known.get(put.key)
        puts[entry.id if entry is not None else f"{generation}.{number}"] = put
    gone = {each.id for each in bundle.entries if each.id in change.takes}
    kept = []
    for each in bundle.entries:
        if each.id in puts:
            kept.append(puts[each.id].entry(each.id, generation))
        elif each.id in change.stays:
            kept.append(msgspec.structs.replace(each, stays=True, digest="", since=generation))
        elif each.id not in gone:
            kept.append(each)
    old = {each.id for each in bundle.entries}
    kept += [put.entry(id_, generation) for id_, put in puts.items() if id_ not in old]
    taken = [
        Taken(each, generation, change.takes[each.id][:_LONGEST_WHY]) for each in bundle.entries if each.id in gone
    ]
    after = msgspec.structs.replace(
        bundle,
        generation=generation,
        next=generation + 1,
        entries=tuple(kept),
        taken=(*bundle.taken, *taken),
        intact=True,
        noted=False,
    )
    return after, puts, gone


def _tests(bundle: Bundle) -> list[dict[str, Any]]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": bundle.uid},
        {"op": "test", "path": "/metadata/generation", "value": bundle.generation},
    ]


def _notes(after: Bundle, *, unmark: bool) -> list[dict[str, Any]]:
    written = {
        names.OBJECTS_ANNOTATION: _json(after.entries),
        names.TAKEN_ANNOTATION: _json(after.taken),
        names.GENERATION_ANNOTATION: str(after.generation),
        **({names.DELETED_ANNOTATION: "", names.MOVES_ANNOTATION: ""} if unmark else {}),
    }
    notes = [
        {"op": "add", "path": f"/metadata/annotations/{each.replace('/', '~1')}", "value": value}
        for each, value in written.items()
    ]
    return [*notes, {"op": "add", "path": "/metadata/managedFields", "value": [{}]}]  # see works.changed


def _json(items: Sequence[Any]) -> str:
    return msgspec.json.encode(items).decode()


def _option(bundle: Bundle) -> dict[str, Any]:
    """What becomes of copies: those that stay are named, also for as long as they are on their way out."""
    staying = [each for each in (*bundle.entries, *(taken.entry for taken in bundle.taken)) if each.stays]
    if not staying:
        return {"propagationPolicy": Propagation.FOREGROUND}
    rules = [
        {"group": what.group, "resource": what.resource, "namespace": what.namespace, "name": what.name}
        for what in dict.fromkeys(each.what for each in staying)
    ]
    return {
        "propagationPolicy": Propagation.SELECTIVELY_ORPHAN,
        "selectivelyOrphans": {"orphaningRules": rules},
    }


def _manifests(spec: Mapping[str, Any]) -> dict[Identifier, tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The manifests of a spec with their options, by what the options name; those without are nobody's here."""
    workload = spec.get("workload")
    manifests = workload.get("manifests") if isinstance(workload, Mapping) else None
    by_place: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for each in manifests if isinstance(manifests, list) else ():
        meta = each.get("metadata") if isinstance(each, Mapping) else None
        if isinstance(meta, Mapping):
            group = str(each.get("apiVersion", "")).rpartition("/")[0]
            by_place.setdefault((group, str(meta.get("namespace") or ""), str(meta.get("name"))), each)
    found: dict[Identifier, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    configs = spec.get("manifestConfigs")
    for config in configs if isinstance(configs, list) else ():
        said = config.get("resourceIdentifier") if isinstance(config, Mapping) else None
        if not isinstance(said, Mapping):
            continue
        what = Identifier(*(str(said.get(part) or "") for part in ("group", "resource", "namespace", "name")))
        manifest = by_place.get((what.group, what.namespace, what.name))
        if manifest is not None:
            found[what] = manifest, config
    return found


# --- what a work shows ------------------------------------------------------------------------------------------------


def taken_out(annotations: Mapping[str, str]) -> dict[Identifier, str]:
    """What the controller of a work has taken out of it, and why; nothing where that cannot be read."""
    try:
        return {each.entry.what: each.why for each in _taken.decode(annotations.get(names.TAKEN_ANNOTATION, ""))}
    except (ValueError, RecursionError):
        return {}


def read(work: Mapping[str, Any]) -> SeenWork | None:
    """`see` of a whole work; None where its metadata cannot be read."""
    try:
        meta = msgspec.json.decode(orjson.dumps(work.get("metadata")), type=WorkMetadata)
    except (ValueError, RecursionError, TypeError):
        return None
    status = work.get("status")
    return see(meta, status if isinstance(status, Mapping) else {})


def see(meta: WorkMetadata, status: Mapping[str, Any]) -> SeenWork:
    """A work of several objects as it was read (see works.see)."""
    whole = works.observe(meta, "", {})
    try:
        entries = _entries.decode(meta.annotations.objects)
        taken = _taken.decode(meta.annotations.taken) if meta.annotations.taken else ()
    except (ValueError, RecursionError) as error:
        broken = msgspec.structs.replace(whole, broken=f"{names.OBJECTS_ANNOTATION}: {error}")
        return SeenWork(meta.namespace, meta.name, None, broken, meta.resource_version)
    told = _Told(meta, status)
    whole = msgspec.structs.replace(whole, bundle=meta.name)
    bundle = Bundle(
        meta.name,
        meta.uid,
        meta.generation,
        managedfields.version(meta),
        works.next_generation(meta),
        entries,
        tuple(each for each in taken if not told.gone(each)),
        intact=whole.intact,
        deleting=whole.deleting,
        noted=whole.noted,
    )
    parts = {each.entry.key: told.of(each.entry, whole, leaves=True) for each in bundle.taken}
    parts |= {each.key: told.of(each, whole) for each in entries}
    return SeenWork(meta.namespace, meta.name, None, whole, meta.resource_version, bundle, tuple(parts.items()))


def alone(work: Mapping[str, Any], type_: str, target: ObjectName) -> dict[str, Any] | None:
    """What a whole work has of one object, as a work that is for that alone; None where it does not have it.

    Its uid and its generation are those of that object.
    """
    seen = read(work)
    bundle = seen.bundle if seen is not None else None
    if bundle is None:
        return None
    leaving = [each.entry for each in bundle.taken]
    entry = next((e for e in (*bundle.entries, *leaving) if e.type == type_ and e.what.where == target), None)
    if entry is None:
        return None
    meta, status = work["metadata"], work.get("status") or {}
    manifest, config = _manifests(work.get("spec") or {}).get(entry.what, ({}, {}))
    said = next((each for each in works.manifests(status) if _about(each) == entry.what), None)
    found = {
        **meta,
        "uid": f"{bundle.uid}/{entry.id}",
        "generation": entry.since,
        "annotations": {
            names.TYPE_ANNOTATION: entry.type,
            names.OBJECT_ANNOTATION: entry.object,
            names.DIGEST_ANNOTATION: entry.digest,
            names.GENERATION_ANNOTATION: str(entry.since if bundle.intact else -1),
        },
    }
    if entry in leaving:
        found.setdefault("deletionTimestamp", "")
    return {
        **work,
        "metadata": found,
        "spec": {
            "deleteOption": {"propagationPolicy": Propagation.ORPHAN if entry.stays else Propagation.FOREGROUND},
            "manifestConfigs": [config],
            "workload": {"manifests": [manifest]},
        },
        "status": {"conditions": said.get("conditions", [])} if said is not None else {},
    }


def _about(said: Mapping[str, Any]) -> Identifier | None:
    meta = said.get("resourceMeta")
    if not isinstance(meta, Mapping):
        return None
    return Identifier(*(str(meta.get(part) or "") for part in ("group", "resource", "namespace", "name")))


class _Told:
    """What its agent has said of a work's manifests, of which generation."""

    def __init__(self, meta: WorkMetadata, status: Mapping[str, Any]) -> None:
        said = works.condition(status, "Applied").get("observedGeneration")
        self._generation = said if isinstance(said, int) and said <= meta.generation else 0
        self._latest = meta.generation  # a write that has changed nothing of the spec has made no generation
        self._manifests: dict[Identifier, Mapping[str, Any]] = {}
        for each in works.manifests(status):
            if (what := _about(each)) is not None:
                self._manifests[what] = each

    def gone(self, taken: Taken) -> bool:
        """Whether its copy has left the member: the agent has reported since, and does not name it any more."""
        return self._generation >= min(taken.generation, self._latest) and taken.entry.what not in self._manifests

    def of(self, entry: Entry, whole: ObservedWork, *, leaves: bool = False) -> ObservedWork:
        """What the work shows of one object."""
        said, message, feedback = Said.NOTHING, "", None
        found = self._manifests.get(entry.what) if self._generation >= min(entry.since, self._latest) else None
        secret = entry.what.resource == SECRETS.plural and not entry.what.group
        if found is not None:
            applied = works.condition(found, "Applied")
            if applied.get("status") == "True":
                said = Said.APPLIED
                feedback = None if secret else workfeedback.read(found)
            elif applied.get("status") == "False":
                said, message = Said.FAILED, works.told(applied, secret=secret)
        return msgspec.structs.replace(
            whole,
            uid=f"{whole.uid}/{entry.id}",
            deleting=whole.deleting or leaves,
            noted=whole.noted or leaves,
            digest=entry.digest,
            next=0,
            orphans=entry.stays,
            said=said,
            message=message,
            feedback=feedback,
        )
