"""Read YAML and JSON as Kubernetes means them: files, folders and standard input in, documents out.

PyYAML speaks YAML 1.1, where `on` is true, `1:30` is 90 and 2026-01-01 is a date; here only JSON's own words are
more than text. A key written twice is an error, as it is for the API server in strict mode.
"""

import functools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typegen.model import Unusable

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
STDIN = "-"
_LISTS = frozenset({"List", "CustomResourceDefinitionList"})


class Unreadable(Unusable):
    """A source that is no YAML or JSON; the message begins with file, line and column."""


@dataclass(frozen=True, slots=True)
class Found:
    """One document and the name of the file it stands in."""

    source: str
    document: dict[str, Any]


def read(sources: Iterable[str]) -> Iterator[Found]:
    """The documents of files, of the YAML and JSON files below folders, and of `-`, lists taken apart.

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
                raise Unreadable(f"{file}: cannot be read: {error}") from error
            yield from parse(text, str(file))


def parse(text: str, source: str) -> Iterator[Found]:
    """The documents of `text`, without empty ones; `source` names it in errors."""
    if text.lstrip().startswith("{"):
        try:
            yield from _flattened(json.loads(text), source)
            return
        except ValueError:
            pass  # flow-style YAML, or several JSON documents: the YAML parser reads both or says where it fails
    import yaml  # noqa: PLC0415 (typegen --help must not pay for it)

    try:
        for document in yaml.load_all(text, Loader=_loader()):
            yield from _flattened(document, source)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        raise Unreadable(f"{where}: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Unreadable(f"{source}: {' '.join(str(error).split())}") from error


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


@functools.cache
def _loader() -> type[Any]:
    import yaml  # noqa: PLC0415

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """SafeLoader with JSON's scalars and without duplicate keys."""

        yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        loader.flatten_mapping(node)
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                key = key_node.value  # 1: and true: are the names "1" and "true", as in JSON
            if key in result:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands here for the second time", key_node.start_mark
                )
            result[key] = loader.construct_object(value_node, deep=True)
        return result

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", "~nN\0"),
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o?[0-7]+", "-+0123456789"),
        ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
        ("merge", r"<<", "<"),
    ):
        starts = [character if character != "\0" else "" for character in first]
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), starts)
    return Loader
