"""The hub as it would be with documents applied: what `fedctl diff -f` compares the members with."""

import time
from collections.abc import Sequence

from federation.joining.reaching import Reach
from federation.model.resources import Key
from federation.preview import lookup, making
from federation.preview import scope as scopes
from federation.preview.making import How
from federation.preview.scope import Scope
from federation.preview.wishes import Given, Wish
from federation.seeing.standing import Outlook


async def read(reach: Reach, given: Sequence[Given], how: How) -> tuple[Sequence[Wish], Outlook, Sequence[Key]]:
    """Each document as the hub would store it, the outlook by then, and the federated objects that are named, those
    of types that are not followed included.

    Raises Invalid for a document that is none, ApiFailure where the hub refuses one or does not answer.
    """
    base = await lookup.begin(reach.host, reach.namespace)
    asked = await making.asked(reach.host, base, given, how)
    types = making.types(base, asked, reach.namespace)
    parts = scopes.parts(asked, making.known_types(base, asked, reach.namespace).values(), reach.namespace)
    keys = [Key(name, *wish.where) for name, wish in parts.federated]
    hub, problems = await lookup.objects(reach.host, base, Scope(named=frozenset(keys)), types.values())
    outlook = Outlook.of(scopes.after(hub, parts, time.time()), anew=True, problems=problems)
    return asked, outlook, list(dict.fromkeys(keys))
