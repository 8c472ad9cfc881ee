"""Carry a target's CEL rules (x-kubernetes-validations) into the template, as far as they still mean the same.

Two things change on the way. The template is not an API object: name and namespace are not in it, status and often
apiVersion and kind neither, so rules at the target's root that read those are left out. And the template has no
defaults (they would be stored and pushed as if asked for), so a rule that reads a defaulted field would fail with
"no such key" where the target's own would see the default: such a rule is skipped while the field is absent, or, where
that cannot be written down (fields inside lists and maps), left out. The members check every rule in full.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from typegen.model import Caution

Steps = tuple[str, ...]
"""A path relative to a node: property names, ITEM and VALUE for what is inside a list or a map."""

ITEM = "[]"
VALUE = "{}"
_ABSENT_AT_ROOT = re.compile(r"\b(?:self|oldSelf)\s*\.\s*\??(metadata|status|apiVersion|kind)\b")
_LITERAL = re.compile(r"""[rR]?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""", re.DOTALL)
_CHAIN = re.compile(r"(?:\b[A-Za-z_]\w*|[)\]])(?:\s*\.\s*\??\s*[A-Za-z_]\w*)+")
_CEL_WORDS = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    }
)


def carry(
    rules: Iterable[Mapping[str, Any]], stripped: Iterable[Steps], path: str, *, root: bool = False
) -> tuple[list[dict[str, Any]], list[Caution]]:
    """The rules of the node at `path` for the template, and what became of the others.

    `stripped` are the fields below the node whose default was taken away; `root` is the target's own root.
    """
    kept: list[dict[str, Any]] = []
    cautions: list[Caution] = []
    defaulted = sorted(set(stripped))
    for rule in rules:
        text = str(rule.get("rule", ""))
        code = _LITERAL.sub(lambda literal: " " * len(literal[0]), f"{text}\n{rule.get('messageExpression', '')}")
        absent = _ABSENT_AT_ROOT.search(code) if root else None
        if absent:
            cautions.append(Caution(path, f"CEL rule left out, it reads {absent[1]}, which a template lacks: {text}"))
            continue
        direct, loose = _chains(code)
        fields = [
            (steps, tuple(identifier(name) for name in steps)) for steps in defaulted if steps[-1] not in (ITEM, VALUE)
        ]
        unguarded = next((steps for steps, escaped in fields if escaped[-1] in loose), None)
        if unguarded is not None:
            field = ".".join(unguarded)
            cautions.append(Caution(path, f"CEL rule left out, it reads {field}, whose default is not kept: {text}"))
            continue
        guards = list(dict.fromkeys(guard for _, escaped in fields for guard in _guards(direct, escaped)))
        if guards:
            condition = " && ".join(guards)
            cautions.append(Caution(path, f"CEL rule applies only where {condition} (defaults are not kept): {text}"))
            text = f"!({condition}) || ({text})"
        kept.append({**rule, "rule": text})
    return kept, cautions


def _chains(code: str) -> tuple[set[tuple[str, Steps]], set[str]]:
    """What `code` reads: fields by a chain from self or oldSelf, and the names it reads from anything else."""
    direct: set[tuple[str, Steps]] = set()
    loose: set[str] = set()
    for match in _CHAIN.finditer(code):
        first, *names = (part.strip() for part in match[0].split("."))
        if first in ("self", "oldSelf") and "?" not in match[0]:
            direct.update((first, tuple(names[:depth])) for depth in range(1, len(names) + 1))
        else:
            loose.update(name.lstrip("?").strip() for name in names)
    return direct, loose


def _guards(direct: set[tuple[str, Steps]], steps: Steps) -> list[str]:
    """What must hold for every reading of the field at `steps` to find it."""
    return [
        f"has({'.'.join((variable, *steps[:depth]))})"
        for variable in ("self", "oldSelf")
        if (variable, steps) in direct
        for depth in range(1, len(steps) + 1)
    ]


def identifier(name: str) -> str:
    """A property's name as CEL in Kubernetes spells it (`x-y` is `x__dash__y`, `in` is `__in__`)."""
    if name in _CEL_WORDS:
        return f"__{name}__"
    for plain, escaped in (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        name = name.replace(plain, escaped)
    return name
