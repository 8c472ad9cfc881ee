"""Users' YAML and JSON files, read as kubectl reads them but strictly: every error begins with file:line.

Duplicate keys, tabs and unknown fields are errors. How values are read, and the limits of a file: typegen.kubeyaml.
"""

import difflib
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from federation.model.errors import Invalid
from typegen.kubeyaml import reading
from typegen.kubeyaml.reading import Place

ANYTHING: Final[Any] = ...
"""In a table of known fields: everything below this field is accepted here and checked elsewhere."""

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value, its file, and the line of each of its parts."""

    source: str
    value: dict[str, Any]
    place: Place = field(repr=False)

    def at(self, *path: str | int) -> str:
        """`file:line` of the part at this path, or of the nearest part around it."""
        return f"{self.source}:{self.place.find(*path).line}"


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
    """The documents of files, of the YAML and JSON files below folders (by path) and of `-`; lists are split up."""
    return [document for name in files(names) for found in read(name) for document in flattened(found)]


def files(names: Iterable[str]) -> list[str]:
    """The files; for a folder those below it, sorted by path, without hidden ones. Raises Invalid."""
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
    """The document, or its items when it is a List. Raises Invalid for an item that is not a map.

    What an API server answers names the kind once, in the list (ConfigMapList); kubectl gives it to each item, too.
    """
    items, metadata = document.value.get("items"), document.value.get("metadata")
    named = isinstance(metadata, dict) and metadata.get("name")
    if named or not (str(document.value.get("kind", "")).endswith("List") and isinstance(items, list)):
        yield document
        return
    kind = str(document.value["kind"]).removesuffix("List")
    own = {"apiVersion": document.value.get("apiVersion"), "kind": kind} if kind else {}
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            raise Invalid(document.at("items", at), "an item of a list must be a map of fields")
        yield from flattened(Document(document.source, own | item, document.place.find("items", at)))


def parse(text: str, source: str) -> Iterator[Document]:
    """The documents of a text."""
    try:
        for document in reading.documents(text, places=True):
            if document.value is None:
                continue
            if not isinstance(document.value, dict):
                raise Invalid(f"{source}:{document.place.line}", "a document must be a map of fields")
            yield Document(source, document.value, document.place)
    except reading.Unreadable as error:
        where = f"{source}:{error.line}" if error.line else source
        tab = reading.is_indented_by_tab(text, error.line) or "'\\t'" in error.message
        raise Invalid(where, "a tab where YAML needs spaces" if tab else error.message) from None


def refuse_unknown(document: Document, known: Mapping[str, Any]) -> None:
    """Raise Invalid for a field that is not in the table `known`; its values are tables again, or None for a scalar."""
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
