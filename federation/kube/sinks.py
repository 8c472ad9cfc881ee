"""What receives the observations of a reflector: a store with its triggers."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

T_contra = TypeVar("T_contra", contravariant=True)


class Sink(Protocol[T_contra]):
    """What receives the observations: a store with its triggers."""

    def replace(self, items: Iterable[T_contra]) -> None:
        """A complete list has been read: there are these objects and no others."""

    def upsert(self, item: T_contra) -> None:
        """An object appeared or changed."""

    def remove(self, item: T_contra) -> None:
        """An object is gone, or does not match the selector any more; `item` is its last state."""


@runtime_checkable
class GradualSink(Protocol[T_contra]):
    """A sink that takes in a long list in steps, between which other tasks have their turn."""

    def replacing(self, items: Iterable[T_contra]) -> Iterator[None]:
        """`replace`, a step at a time. One that is not brought to its end is followed by another."""


@runtime_checkable
class ListingSink(Protocol):
    """A sink that learns of its objects from elsewhere, too, and may know something newer than the list."""

    def listing(self) -> None:
        """A list begins; `listed` follows, or this again."""

    def listed(self, version: str) -> None:
        """It has ended, and shows the collection as of this resourceVersion; `replace` follows at once."""
