"""YAML and JSON files of users, read strictly: every refusal begins with file:line.

Duplicate keys, tabs and unknown fields are errors. Only JSON's own words are more than text: `on`, `no` and 1:30 stay
strings (YAML 1.2's core schema), where PyYAML alone would make true, false and 90 of them.
"""

import difflib
import functools
import math
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from federation.model.errors import Invalid

ANYTHING: Final[Any] = ...
"""In a table of known fields: everything below is somebody else's to check."""

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_TAG = "tag:yaml.org,2002:"
_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value, and where in which file each part of it stands."""

    source: str
    value: dict[str, Any]
    node: Any = field(repr=False)

    def at(self, *path: str | int) -> str:
        """`file:line` of the part at this path, or of the nearest part around it."""
        node, line = self.node, self.node.start_mark.line
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            line, node = found
        return f"{self.source}:{line + 1}"


def read(name: str) -> list[Document]:
    """The documents of a file (`-`: standard input) that are not empty. Raises Invalid."""
    source = "<stdin>" if name == "-" else name
    try:
        text = sys.stdin.read() if name == "-" else pathlib.Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(source, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Invalid(source, "is not UTF-8 text") from None
    return list(parse(text, source))


def every(names: Iterable[str]) -> list[Document]:
    """The documents of files, of the YAML and JSON files below folders (by path) and of `-`, lists taken apart."""
    return [document for name in files(names) for found in read(name) for document in flattened(found)]


def files(names: Iterable[str]) -> list[str]:
    """The files meant: a folder stands for those below it, by path, without what is hidden. Raises Invalid."""
    found: dict[str, None] = {}
    for name in names:
        path = pathlib.Path(name)
        if name == "-" or not path.is_dir():
            found[name] = None
            continue
        inside = sorted(each for each in path.rglob("*") if each.suffix in _SUFFIXES and each.is_file())
        for each in inside:
            if not any(part.startswith(".") for part in each.relative_to(path).parts):
                found[str(each)] = None
    return list(found)


def flattened(document: Document) -> Iterator[Document]:
    """The document, or what is in it when it is a List. Raises Invalid for an item that is no map."""
    items, metadata = document.value.get("items"), document.value.get("metadata")
    named = isinstance(metadata, dict) and metadata.get("name")
    if named or not (str(document.value.get("kind", "")).endswith("List") and isinstance(items, list)):
        yield document
        return
    nodes = next((inner for key, inner in document.node.value if key.value == "items"), None)
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            raise Invalid(document.at("items", at), "an item of a list must be a map of fields")
        yield from flattened(Document(document.source, item, nodes.value[at] if nodes is not None else document.node))


def parse(text: str, source: str) -> Iterator[Document]:
    """The documents of a text."""
    try:
        loader = _loader()(text)
        try:
            while loader.check_node():
                node = loader.get_node()
                value = _Values(source).of(node)
                if value is None:
                    continue
                if not isinstance(value, dict):
                    raise Invalid(f"{source}:{node.start_mark.line + 1}", "a document must be a map of fields")
                yield Document(source, value, node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _told(error, text, source) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise Invalid(source, " ".join(str(error).split())[:200] or "nested too deeply") from None


def refuse_unknown(document: Document, known: Mapping[str, Any]) -> None:
    """Raise Invalid for a field that is not in the table; its values are tables again, None for a scalar."""
    _check(document, document.value, known, ())


def _check(document: Document, value: Any, known: Any, path: tuple[str, ...]) -> None:
    if known is ANYTHING or value is None:
        return
    where = ".".join(path)
    if known is None:
        if isinstance(value, dict | list):
            raise Invalid(document.at(*path), f"{where} must be a single value")
        return
    if not isinstance(value, dict):
        raise Invalid(document.at(*path), f"{where} must be a map of fields")
    for key, inner in value.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            after = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise Invalid(document.at(*path, key), f"unknown field {'.'.join((*path, key))}; {after}")
        _check(document, inner, known[key], (*path, key))


class _Values:
    """Nodes to values; an anchored node is made once and shared, so that aliases cannot multiply."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._made: dict[int, Any] = {}
        self._open: set[int] = set()

    def of(self, node: Any) -> Any:
        known = id(node)
        if known in self._made:
            return self._made[known]
        if known in self._open:
            raise self._wrong(node, "an alias refers to itself")
        if not isinstance(node, yaml.ScalarNode) and node.tag.removeprefix(_TAG) not in ("map", "seq"):
            raise self._wrong(node, f"tag {node.tag} is not JSON's")
        self._open.add(known)
        if isinstance(node, yaml.MappingNode):
            value: Any = self._mapping(node)
        elif isinstance(node, yaml.SequenceNode):
            value = [self.of(each) for each in node.value]
        else:
            value = self._scalar(node)
        self._made[known] = value
        return value

    def _mapping(self, node: Any) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key, inner in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong(key, "a field's name must be a single word")
            if key.value in value:
                raise self._wrong(key, f"field {key.value!r} is given twice")
            value[key.value] = self.of(inner)
        return value

    def _scalar(self, node: Any) -> Any:
        text = node.value
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                base = {"0o": 8, "0x": 16}.get(text[:2].lower(), 10)
                return int(text if base == 10 else text[2:], base)
            case "float" if math.isfinite(float(text)):
                return float(text)
        raise self._wrong(node, f"{text[:40]!r} is no JSON value (tag {node.tag})")

    def _wrong(self, node: Any, message: str) -> Invalid:
        return Invalid(f"{self._source}:{node.start_mark.line + 1}", message)


def _child(node: Any, step: str | int) -> tuple[int, Any] | None:
    if isinstance(node, yaml.MappingNode):
        for key, inner in node.value:
            if key.value == step:
                return key.start_mark.line, inner
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    return None


def _told(error: yaml.MarkedYAMLError, text: str, source: str) -> Invalid:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Invalid(source, str(error.problem or error.context))
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or (error.problem and "'\\t'" in error.problem):
        return Invalid(f"{source}:{mark.line + 1}", "a tab where YAML wants spaces")
    return Invalid(f"{source}:{mark.line + 1}", str(error.problem or error.context))


@functools.cache
def _loader() -> type[Any]:
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """The safe loader with YAML 1.2's core schema instead of 1.1's."""

        yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    add_resolvers(Loader)
    return Loader


def add_resolvers(kind: type[Any]) -> None:
    """Teach a loader or dumper which bare words are more than text to us; a dumper then quotes the text that is not."""
    for tag, pattern, first in _RESOLVERS:
        starts = [*first, ""] if tag == "null" else list(first)
        kind.add_implicit_resolver(f"{_TAG}{tag}", re.compile(f"^(?:{pattern})$"), starts)
