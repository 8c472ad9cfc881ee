"""Sources of typegen: files, folders and standard input in, documents out, read as kubectl reads them."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typegen.kubeyaml import reading
from typegen.model import Unusable

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
STDIN = "-"
_LISTS = frozenset({"List", "CustomResourceDefinitionList"})


class Unreadable(Unusable):
    """A source that is not YAML or JSON; the message begins with file, line and column."""


@dataclass(frozen=True, slots=True)
class Found:
    """One document, and the name of its file."""

    source: str
    document: dict[str, Any]


def read(sources: Iterable[str]) -> Iterator[Found]:
    """The documents of files, of the YAML and JSON files below folders, and of `-`; lists are split up.

    Raises Unreadable for a file that cannot be read or parsed.
    """
    for source in sources:
        if source == STDIN:
            yield from parse(sys.stdin.read(), "<stdin>")
            continue
        path = Path(source)
        files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES) if path.is_dir() else [path]
        for file in files:
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise Unreadable(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
            yield from parse(text, str(file))


def parse(text: str, source: str) -> Iterator[Found]:
    """The documents of `text`, without empty ones; `source` names it in errors."""
    try:
        for document in reading.documents(text):
            yield from _flattened(document.value, source)
    except reading.Unreadable as error:
        where = ":".join([source, *(str(each) for each in (error.line, error.column) if each)])
        raise Unreadable(f"{where}: {error.message}") from None


def _flattened(document: Any, source: str) -> Iterator[Found]:
    if document is None:
        return
    if not isinstance(document, Mapping):
        raise Unreadable(f"{source}: a document is a {type(document).__name__}, expected a mapping with apiVersion")
    if document.get("kind") in _LISTS and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _flattened(item, source)
    else:
        yield Found(source, dict(document))
