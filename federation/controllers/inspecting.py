"""Look at the object in the answer to an apply: does it have what was asked for, and has every field an owner?

The copies of an object are alike, and what this tells of one it tells of all. So it is remembered for a while by the
manifest and by what the answers have in common: 10 us for a copy instead of 25 (a ConfigMap) or 110 (a Deployment).
"""

import functools
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from federation.controllers import clearing
from federation.controllers.outcomes import Target
from federation.controllers.ports import Written
from federation.core import drops, managedfields
from federation.model.resources import SECRETS

_SMALL = 16 << 10
"""Bytes of a manifest, and of an object, up to which it is remembered what the object looked like."""
_REMEMBERED = 128
"""Answers that are remembered: 8 MB at most."""


class Inspection(NamedTuple):
    """`dropped`: the message about fields that the object does not have as asked (core.drops), "" for none."""

    dropped: str
    fully_owned: bool


@dataclass(frozen=True, slots=True)
class _Question:
    body: bytes
    likeness: Hashable
    manager: str
    secret: bool
    defaulted: bool
    written: Written = field(compare=False)


async def inspect(body: bytes, target: Target, written: Written) -> Inspection | None:
    """What the answer to the apply of `body` shows; None where the object was not requested or cannot be read."""
    secret = target.resource.qualified == SECRETS.qualified
    size = max(len(body), written.size)  # either may be much the larger one: the member prunes, and it adds defaults
    likeness = written.likeness() if size <= _SMALL and not secret else None  # no Secret is kept in memory
    question = _Question(
        body, likeness, target.member.manager, secret, drops.has_defaulted_fields(target.resource), written
    )
    if likeness is not None:
        return _remembered(question)
    return await clearing.aside(size, functools.partial(_answer, question))


def _answer(question: _Question) -> Inspection | None:
    content, meta = question.written.content(), question.written.metadata
    if content is None:
        return None
    mine = next((entry for entry in meta.managed_fields if managedfields.is_ours(entry, question.manager)), None)
    owned = managedfields.fields_of(mine) if mine is not None else {}
    kept = drops.compare(orjson.loads(question.body), content, owned)
    fully_owned = question.defaulted and clearing.fully_owned(content, meta)
    return Inspection(drops.message(kept, secret=question.secret), fully_owned)


_remembered = functools.lru_cache(maxsize=_REMEMBERED)(_answer)
