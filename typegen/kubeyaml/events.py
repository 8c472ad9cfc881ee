"""Build values from PyYAML's events (libyaml's, where it is installed), without recursion.

An aliased part is built once and shared. How large the document would be with every alias written out is counted and
limited, because printing or walking the value costs that much.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from typegen.kubeyaml import scalars
from typegen.kubeyaml.model import Document, Limits, Place, Unreadable

_UNSET: Final[Any] = object()
_MERGE: Final[Any] = object()


@dataclass(slots=True)
class _Anchored:
    """An anchored part: its value (floats as YAML has them), and its size."""

    found: Any
    inner: Any
    nodes: int
    text: int


@dataclass(slots=True)
class _Open:
    """A list or map that is being read; `key` is the field whose value comes next, `merged` are the fields of `<<`."""

    found: Any
    inner: Any
    line: int
    anchor: str | None
    nodes: int
    text: int
    key: Any = _UNSET
    key_line: int = 0
    merged: set[str] = field(default_factory=set)


class Reading:
    """Parses one text."""

    def __init__(self, text: str, limits: Limits, places: bool) -> None:
        import yaml  # noqa: PLC0415 (not needed for --help)

        self._yaml = yaml
        self._parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._text = text
        self._limits = limits
        self._places = places
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._nodes = self._aliased = self._aliased_text = 0
        self._root: tuple[Any, Place] = (None, Place(1))

    def documents(self) -> Iterator[Document]:
        """The documents, one by one. Raises Unreadable."""
        yaml = self._yaml
        try:
            parser = self._parser(self._text)
            try:
                yield from self._events(parser)
            finally:
                parser.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = str(error.problem or error.context)
            raise Unreadable(problem, *((mark.line + 1, mark.column + 1) if mark else ())) from None
        except yaml.reader.ReaderError as error:
            line = self._text.count("\n", 0, error.position) + 1 if error.position >= 0 else 0
            raise Unreadable(f"a character that YAML does not allow ({error.reason})", line) from None
        except (yaml.YAMLError, RecursionError, UnicodeError) as error:
            raise Unreadable(" ".join(str(error).split())[:200]) from None

    def _events(self, parser: Any) -> Iterator[Document]:
        events = self._yaml.events
        while parser.check_event():
            event = parser.get_event()
            kind = type(event)
            if kind is events.ScalarEvent:
                self._scalar(event)
            elif kind is events.MappingStartEvent or kind is events.SequenceStartEvent:
                self._begin(event, {} if kind is events.MappingStartEvent else [])
            elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
                self._end(event)
            elif kind is events.AliasEvent:
                self._alias(event)
            elif kind is events.DocumentStartEvent:
                self._anchors.clear()
                self._nodes = self._aliased = self._aliased_text = 0
            elif kind is events.DocumentEndEvent:
                yield Document(*self._root)

    def _scalar(self, event: Any) -> None:
        tag, text = event.tag, event.value
        try:
            if tag is not None:
                found = scalars.tagged(tag, text)
            else:
                found = scalars.resolve(text) if event.implicit[0] else text
            self._count(event.start_mark)
            if event.anchor is not None:
                self._anchors[event.anchor] = _Anchored(found, None, 1, len(text))
            merges = text == "<<" and (event.implicit[0] or tag == scalars.TAG + "merge")
            self._add(found, None, event.start_mark, merges=merges)
        except scalars.NoValue as error:
            raise _unreadable(f"{text[:40]!r} {error}", event.start_mark) from None

    def _count(self, mark: Any) -> None:
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise _unreadable(f"more than {self._limits.nodes} values in a document", mark)

    def _begin(self, event: Any, found: Any) -> None:
        tag, mark = event.tag, event.start_mark
        if tag is not None and not scalars.is_known(tag):
            raise _unreadable(f"the tag {tag[:60]} is not JSON's", mark)
        parent = self._open[-1] if self._open else None
        if parent is not None and type(parent.found) is dict and parent.key is _UNSET:
            raise _unreadable("a field's name must be a single word", mark)
        if len(self._open) >= self._limits.depth:
            raise _unreadable(f"nested more than {self._limits.depth} levels deep", mark)
        self._count(mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        counted = self._nodes + self._aliased - 1
        inner = type(found)() if self._places else None
        text = self._aliased_text - mark.index
        self._open.append(_Open(found, inner, mark.line + 1, event.anchor, counted, text))

    def _end(self, event: Any) -> None:
        done = self._open.pop()
        if done.anchor is not None:
            text = self._aliased_text + event.end_mark.index - done.text
            nodes = self._nodes + self._aliased - done.nodes
            self._anchors[done.anchor] = _Anchored(done.found, done.inner, nodes, text)
        self._add(done.found, done.inner, event.start_mark, line=done.line)

    def _alias(self, event: Any) -> None:
        mark = event.start_mark
        if event.anchor not in self._anchors:
            raise _unreadable(f"the alias *{event.anchor} has no anchor before it", mark)
        known = self._anchors[event.anchor]
        if known is None:
            raise _unreadable("an alias refers to itself", mark)
        self._aliased += known.nodes
        self._aliased_text += known.text
        if self._aliased > self._limits.aliased_nodes or self._aliased_text > self._limits.aliased_text:
            raise _unreadable("too large with its aliases written out: use fewer aliases", mark)
        try:
            self._add(known.found, known.inner, mark)
        except scalars.NoValue as error:
            raise _unreadable(f"the alias *{event.anchor} {error}", mark) from None

    def _add(self, found: Any, inner: Any, mark: Any, *, line: int = 0, merges: bool = False) -> None:
        """Add a value to what is being read: to the list, as a field's name or value, or as the document."""
        line = line or mark.line + 1
        if not self._open:
            self._root = (scalars.value(found), Place(line, inner))
            return
        parent = self._open[-1]
        if type(parent.found) is list:
            parent.found.append(scalars.value(found))
            if self._places:
                parent.inner.append(Place(line, inner))
        elif parent.key is _UNSET:
            self._key(parent, _MERGE if merges else found, mark)
        elif parent.key is _MERGE:
            self._merge(parent, found, inner, mark)
            parent.key = _UNSET
        else:
            parent.found[parent.key] = scalars.value(found)
            if self._places:
                parent.inner[parent.key] = Place(parent.key_line, inner)
            parent.key = _UNSET

    def _key(self, parent: _Open, found: Any, mark: Any) -> None:
        if found is not _MERGE:
            if isinstance(found, dict | list):
                raise _unreadable("a field's name must be a single word", mark)
            try:
                found = scalars.key(found)
            except scalars.NoValue as error:
                raise _unreadable(f"a field's name {error}", mark) from None
            if found in parent.found and found not in parent.merged:
                raise _unreadable(f"field {found[:80]!r} is given twice", mark)
            parent.merged.discard(found)
        parent.key, parent.key_line = found, mark.line + 1

    def _merge(self, parent: _Open, found: Any, inner: Any, mark: Any) -> None:
        """`<<`: add the fields of a map, or of several, of which the first counts; they replace those above."""
        sources = list(reversed(found)) if isinstance(found, list) else [found]
        if not all(isinstance(each, dict) for each in sources):
            raise _unreadable("<< needs a map of fields, or a list of such", mark)
        inners = list(reversed(inner)) if isinstance(inner, list) else [Place(0, inner)]
        for at, each in enumerate(sources):
            parent.found.update(each)
            parent.merged.update(each)
            if self._places:
                parent.inner.update(inners[at].inner)


def _unreadable(message: str, mark: Any) -> Unreadable:
    return Unreadable(message, mark.line + 1, mark.column + 1)
