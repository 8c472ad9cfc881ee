"""What a ManifestWork that has several objects records of them, in annotations of its own (core.bundles).

An array of values each, without names: there is one for every object of every cluster in the hub's etcd.
"""

import msgspec

from federation.model.resources import Key
from federation.model.works import Identifier


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One object of a bundle. Entries have the order of the work's manifests, and of its manifestConfigs.

    `id` is the only one of its work for ever: the generation by which it came, and a number. `type` is its
    FederatedTypeConfig, `object` the federated object. `resource` and `target` are what the copy is, "" where they are
    the same. `digest` is of all that is asked for, "" where that is not known; `since` is the generation that has
    brought it. `size` is in bytes. `stays`: the copy stays when it leaves the work.
    """

    id: str
    type: str
    object: str
    resource: str
    target: str
    digest: str
    since: int
    size: int
    stays: bool = False

    @property
    def key(self) -> Key:
        """The federated object."""
        namespace, _, name = self.object.rpartition("/")
        return Key(self.type, namespace, name)

    @property
    def what(self) -> Identifier:
        """The copy, as the work's options and its status name it."""
        plural, _, group = (self.resource or self.type).partition(".")
        namespace, _, name = (self.target or self.object).rpartition("/")
        return Identifier(group, plural, namespace, name)


class Taken(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An object that its controller has taken out of a bundle, by which `generation`, and `why`.

    It is the proof by which an agent removes the copy, and stands until the agent has said that it has.
    """

    entry: Entry
    generation: int
    why: str = ""


class Bundle(msgspec.Struct, frozen=True, gc=False):
    """A work of several objects, as it is at the hub. `version` is its resourceVersion as a number, and `next` the
    generation that it should have by our next write.

    `intact`: nobody else has changed its spec. `noted`: it says that its controller deletes it. `taken` are those that
    may still be in the member.
    """

    name: str
    uid: str
    generation: int
    version: int
    next: int
    entries: tuple[Entry, ...] = ()
    taken: tuple[Taken, ...] = ()
    intact: bool = True
    deleting: bool = False
    noted: bool = False

    @property
    def size(self) -> int:
        """Bytes of its objects."""
        return sum(each.size for each in self.entries)
