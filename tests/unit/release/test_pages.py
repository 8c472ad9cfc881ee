"""Every block of commands in README and docs says what the suite does with it, and no command there is misspelt."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from federation.cli import root
from federation.cli.verbs import LazyGroup, Verb
from tests import pages
from tests.pages import Block
from typegen import cli as typegen

ALL = [block for page in pages.pages() for block in pages.blocks(page)]
TOOLS: dict[str, click.Command] = {"fedctl": root.fedctl, "typegen": typegen.main}
_OPERATORS = "();<>|&\n"


def test_there_are_blocks() -> None:
    assert {"README.md", "docs/tutorial.md"} <= {block.page for block in ALL}


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.where)
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.codes or block.why_not, f"{block.where}: no mark above it (tests/pages.py has them)"


@pytest.mark.parametrize("block", [each for each in ALL if each.why_not], ids=lambda block: block.where)
def test_a_reason_names_a_test_that_exists(block: Block) -> None:
    named = re.findall(r"tests/[\w/]+\.py|make [a-z-]+", block.why_not)
    assert named, f"{block.where}: {block.why_not!r} names no test"
    for each in named:
        assert each.startswith("make ") or (pages.ROOT / each).exists(), each


def commands(text: str) -> Iterator[list[str]]:
    """The words of each simple command of a shell block."""
    lexer = shlex.shlex(
        re.sub(r"(^|[ \t])#.*$", "", text.replace("\\\n", " "), flags=re.MULTILINE),
        posix=True,
        punctuation_chars=_OPERATORS,
    )
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    for token in lexer:
        if set(token) <= set(_OPERATORS):
            yield words
            words = []
        else:
            words.append(token)
    yield words


def check(words: list[str]) -> None:
    """Raise click.UsageError for a verb or a flag that there is not; the values of flags are not looked at."""
    command, rest = TOOLS[words[0]], words[1:]
    context = click.Context(command, info_name=words[0], **command.context_settings)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        child = command.get_command(context, rest[0])
        if child is None:
            raise click.UsageError(f"no command {rest[0]!r}")
        command, rest = child, rest[1:]
        context = click.Context(command, parent=context, info_name=command.name, **command.context_settings)
    rewritten = command.rewritten(context, rest) if isinstance(command, Verb | LazyGroup) else rest
    command.make_parser(context).parse_args(rewritten)


def check_all(text: str) -> None:
    """The same for every command of a block."""
    for words in commands(text):
        if words and words[0] in TOOLS and words[1:3] != ["playground", "kubectl"]:
            check(words)


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.where)
def test_its_commands_have_the_verbs_and_flags_that_there_are(block: Block) -> None:
    text = block.text if block.language == "sh" else "\n".join(each.command for each in block.expected)
    try:
        check_all(text)
    except click.UsageError as error:
        pytest.fail(f"{block.where}: {error.format_message()}")


@pytest.mark.parametrize("line", ["fedctl gett clusters", "x=$(fedctl get --nope)", "a && fedctl join m1 --hots x"])
def test_a_misspelt_line_is_found(line: str) -> None:
    with pytest.raises(click.UsageError):
        check_all(line)


PAGE = """
<!-- runs -->
```sh
true
```

text

<!-- runs, codes 0 1 -->

```console
$ fedctl get x
NAME    AGE
x       1s
```

<!-- not run: tests/conftest.py -->
```sh
false
```
```sh
no mark
```
```yaml
a: b
```
"""


def test_marks_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(textwrap.dedent(PAGE))
    found = pages.blocks(page)
    assert [(each.line, each.codes, each.why_not) for each in found] == [
        (3, (0,), ""),
        (11, (0, 1), ""),
        (18, (), "tests/conftest.py"),
        (21, (), ""),
    ]
    assert [(each.command, each.shown) for each in found[1].expected] == [("fedctl get x", "NAME    AGE")]
    assert "NAME AGE" in pages.script([found[1]])
