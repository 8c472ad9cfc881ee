"""What a member did not keep of a manifest that it accepted: fields left out, and fields with other values. Pure.

Server-side apply refuses what a schema does not declare. But a built-in type declares fields whose feature gate is off
in that cluster (or which the type's other values exclude), drops them and still lists them in managedFields (tried:
kube-apiserver 1.36, a Deployment's schedulingGroup). And a policy or webhook there may rewrite what is asked for (an
image's registry): in managedFields it is ours all the same. Only the object itself shows either, so the answer to
the apply of a new or changed manifest is asked for whole; that costs no request.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from federation.core import fieldvalues, scrubbing, times
from federation.core.fieldsets import Fields
from federation.model.resources import Resource

LEAVES_OUT = "this cluster leaves out "
CHANGES = "this cluster keeps other values in "
_SHOWN = 5
_PLAIN = frozenset({"configmaps", "secrets", "namespaces", "serviceaccounts"})
_OURS = frozenset({"apiVersion", "kind", "metadata"})
_USERS_METADATA = ("labels", "annotations")
_NONE: Fields = {}
_QUANTITY = re.compile(r"([+-]?[0-9]{1,40}(?:\.[0-9]{0,40})?)([eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i|)")
_SUFFIXES = {suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate("num", -3)}
_SUFFIXES |= {suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate(["", "k", "M", "G", "T", "P", "E"])}
_SUFFIXES |= {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}


class Dropped(NamedTuple):
    """Paths of the manifest's fields that the object does not have, or has with another value; no indices."""

    left_out: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def has_defaulted_fields(target: Resource) -> bool:
    """Whether objects of this type have more than data: fields that are defaulted, from which others are derived."""
    return bool(target.group) or target.plural not in _PLAIN


def compare(manifest: Mapping[str, Any], live: Mapping[str, Any], owned: Fields) -> Dropped:
    """What became of a manifest, where `live` is the object after its apply and `owned` are our fields in it.

    Not counted are empty values, for servers leave out what is empty, zero or false, and other ways to write the same
    value ("1000m" and "1").
    """
    left_out: set[str] = set()
    changed: set[str] = set()
    walk = _Walk(left_out, changed)
    for name, value in manifest.items():
        if name not in _OURS:
            walk.compare(value, live.get(name), owned.get(f"f:{name}", _NONE), f".{name}")
    for name in _USERS_METADATA:
        value, there = manifest["metadata"].get(name), live["metadata"].get(name)
        if value:
            walk.compare(value, there, _NONE, f".metadata.{name}")
    return Dropped(_outermost(left_out), _outermost(changed))


def message(dropped: Dropped, *, secret: bool = False) -> str:
    """The sentences for a cluster's line; "" when all was kept. Fields only, never a value."""
    sentences = []
    if dropped.left_out:
        sentences.append(
            f"{LEAVES_OUT}{_names(dropped.left_out, secret)}: it takes the object and does not keep these fields"
        )
    if dropped.changed:
        sentences.append(
            f"{CHANGES}{_names(dropped.changed, secret)} than asked for: a policy or webhook there changes them"
        )
    return "; ".join(sentences)


def from_message(message: str) -> str:
    """Those sentences, where a cluster's message ends with them; "" where it does not."""
    begins = [at for each in (LEAVES_OUT, CHANGES) if (at := message.find(each)) >= 0]
    return message[min(begins) :] if begins else ""


class _Walk:
    def __init__(self, left_out: set[str], changed: set[str]) -> None:
        self._left_out = left_out
        self._changed = changed

    def compare(self, value: Any, live: Any, owned: Fields, path: str) -> None:
        if value == live or _is_empty(value):
            return
        if live is None or live in ({}, [], ""):
            self._left_out.add(path)
        elif isinstance(value, dict) and isinstance(live, dict):
            for name, inner in value.items():
                self.compare(inner, live.get(name), owned.get(f"f:{name}", _NONE), scrubbing.below(path, name))
        elif isinstance(value, list) and isinstance(live, list):
            self._compare_lists(value, live, owned, path)
        elif not _same(value, live):
            self._changed.add(path)

    def _compare_lists(self, value: list[Any], live: list[Any], owned: Fields, path: str) -> None:
        keys = fieldvalues.keys_of(owned)
        if keys is not None:
            elements = fieldvalues.Elements(live, keys)
            for element in value:
                at = elements.find(element)
                if at is None:
                    self._changed.add(f"{path}[]")
                else:
                    self.compare(element, live[at], fieldvalues.node_of(owned, live[at], keys), f"{path}[]")
        elif fieldvalues.is_set(owned):
            known = fieldvalues.Members(live)
            if any(element not in known for element in value):
                self._changed.add(path)
        elif len(value) != len(live):
            self._changed.add(path)
        else:
            for element, there in zip(value, live, strict=True):
                self.compare(element, there, _NONE, f"{path}[]")


def _is_empty(value: Any) -> bool:
    """Whether it is empty, or made of nothing but what is."""
    if isinstance(value, dict):
        return all(_is_empty(inner) for inner in value.values())
    return not value


def _same(value: Any, live: Any) -> bool:
    """Whether both are ways to write one value: servers write quantities, times and bytes in a way of their own."""
    if isinstance(value, bool) or isinstance(live, bool):
        return False
    if isinstance(value, str) and isinstance(live, str) and value.strip() == live.strip():
        return True
    return any((first := read(value)) is not None and first == read(live) for read in (_quantity, _moment, _bytes))


def _quantity(value: Any) -> Decimal | None:
    found = _QUANTITY.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if found is None:
        return None
    try:
        number = Decimal(found[1])
        return number * (_SUFFIXES[found[2]] if found[2] in _SUFFIXES else Decimal(f"1{found[2]}"))
    except InvalidOperation:
        return None


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or not value[:4].isdecimal():
        return None
    moment = times.moment(value)
    return moment.astimezone(UTC).replace(microsecond=0) if moment is not None else None


def _bytes(value: Any) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _outermost(paths: set[str]) -> tuple[str, ...]:
    kept: list[str] = []
    for path in sorted(paths):
        if not any(path.startswith((f"{each}.", f"{each}[")) for each in kept[-1:]):
            kept.append(path)
    return tuple(kept)


def _names(paths: tuple[str, ...], secret: bool) -> str:
    shown = ", ".join(scrubbing.field(path, secret=secret) for path in paths[:_SHOWN])
    return f"{shown} and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else shown
