"""The answer of planning: for every cluster one action. Data only; `controllers.push` carries them out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from federation.model.words import Propagation, Word


@dataclass(frozen=True, slots=True)
class Recreation:
    """Leave of the user to delete the object and create it anew, should the member refuse to change it.

    `body` is the manifest that is created then, `options` are DeleteOptions. `never`: why it is not done all the same.
    """

    body: bytes = b""
    options: Mapping[str, Any] = field(default_factory=dict)
    never: str = ""


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply this manifest, whose apiVersion is `api_version`.

    `digest` identifies the desired manifest (status fingerprints carry it). `uid` is sent so that an object that was
    re-created meanwhile is noticed. `create_only` refuses an object that exists (adoption disabled).
    `hand_over` gives spec.replicas to our second manager: before the apply when `uid` is known, else right after
    the creation (retainReplicas; value is the number to hand over). `legacy` takes over KubeFed's managedFields.
    `first`: no earlier apply of ours is known, so others may own beside us what we name. `recreation` is set where an
    object that is there may be recreated.
    """

    body: bytes
    digest: str
    api_version: str
    uid: str = ""
    create_only: bool = False
    hand_over: int | None = None
    retain_replicas: bool = False
    legacy: bool = False
    first: bool = False
    recreation: Recreation | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the member's object, if it still has this uid; `options` are DeleteOptions from the user.

    Without a uid it is not known whether there is one: look first, and delete what is ours.
    """

    uid: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Release:
    """Leave the object in the member and take our mark off it (orphaning, the host's own Namespace).

    `keep_label` gives up our fields and our claim only: another hub manages the object by the same label. Without a
    uid: whatever object is there.
    """

    uid: str
    keep_label: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """Another hub has the object: tell it, once, by an annotation of our own, and write nothing else.

    `holder` is its field manager. `shared`: we own fields beside it, which are given up first.
    """

    uid: str
    holder: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Keep:
    """The member holds what it should. `digest` and `entry` are what its fingerprint says.

    `rivals` are field managers of other hubs that would push the object, too, if we had it not.
    """

    digest: str
    entry: str
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done now; an event will come (cluster ready, namespace there, object gone)."""

    word: Word
    message: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """This cluster cannot get the object until its user changes something."""

    word: Word
    message: str


Push = Apply | Claim | Delete | Release
"""What a lane carries out."""

Action = Push | Keep | Wait | Refuse


@dataclass(frozen=True, slots=True)
class Plan:
    """What one reconcile decided.

    `reason` and `message` become the Propagation condition when the object as a whole is at fault.
    `selected` are the clusters that should hold the object; the other actions clear away copies.
    `undecided`: facts that a decision needs have not been heard yet; nothing is done or told until they are.
    `unjoined` are names that the placement lists and no cluster has joined under.
    `finalizer`: True add it before any push, False release it (nothing managed is left), None leave as is.
    """

    generation: int
    actions: Mapping[str, Action] = field(default_factory=dict)
    selected: frozenset[str] = frozenset()
    reason: Propagation = Propagation.OK
    message: str = ""
    finalizer: bool | None = None
    deleting: bool = False
    undecided: bool = False
    warnings: tuple[str, ...] = ()
    unjoined: tuple[str, ...] = ()
