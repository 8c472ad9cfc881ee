"""docs/night.md against what there is: alerts, tests, commands, and every word that it quotes of the controller."""

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from charts import alerts
from tests.pages import ROOT
from tests.unit.release.test_pages import check_all

PAGE = ROOT / alerts.PAGE
PARTS = ("Seen", "Type", "Means", "Do", "Shown by")
_QUOTED = re.compile(r"`([^`]+)`")
_WORD = re.compile(r"(?:[A-Z][a-z]+){2,}")
"""A condition, a reason, a state or an event; also the kinds of Kubernetes and KubeFed."""


class Section(NamedTuple):
    """One symptom."""

    group: str
    name: str
    parts: dict[str, str]

    def quoted(self, *parts: str) -> list[str]:
        """What stands between backticks."""
        return [found for part in parts for found in _QUOTED.findall(self.parts[part])]


def sections() -> list[Section]:
    """All of the page, from top to bottom."""
    found: list[Section] = []
    group = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif line.startswith("### "):
            found.append(Section(group, line.removeprefix("### "), {}))
        elif part := re.match(r"- \*\*([A-Z][a-z ]+):\*\* (.*)", line):
            assert part[1] not in found[-1].parts, line
            found[-1].parts[part[1]] = part[2]
    return found


SECTIONS = sections()


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


ANCHORS = {slug(each.name): each for each in SECTIONS}
each_section = pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)


@functools.cache
def said() -> str:
    """Every text in the sources, one a line; what an f-string fills in divides it."""
    texts: list[str] = [each.name for each in alerts.ALERTS]
    for path in sorted((ROOT / "federation").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        notes = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings say nothing to users
        texts += [
            node.value
            for node in nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes
        ]
    return "\n".join(texts)


def missing(quotes: list[str]) -> list[str]:
    """Those of which a part between `...` stands in no source."""
    return [quote for quote in quotes if not all(part.strip() in said() for part in quote.split("..."))]


def test_every_alert_has_a_section_and_no_other_has_one() -> None:
    assert [each.name for each in SECTIONS if each.group == "Alerts"] == [each.name for each in alerts.ALERTS]
    named = set(re.findall(r"\bFederation[A-Z]\w+", PAGE.read_text()))
    assert named == {each.name for each in alerts.ALERTS}


def test_a_description_leads_to_its_section() -> None:
    rule = alerts.rules()
    for alert in alerts.ALERTS:
        assert alert.name.lower() in ANCHORS
        assert f"({alerts.PAGE}#{alert.name.lower()})" in rule


@each_section
def test_it_says_what_is_seen_typed_meant_done_and_shown(section: Section) -> None:
    assert tuple(section.parts) == PARTS
    assert all(text.endswith((".", "`")) for text in section.parts.values())
    assert re.match(r"`(fedctl|kubectl) ", section.parts["Type"]), "the command comes first"


def test_every_section_is_in_the_list_and_every_link_leads_somewhere() -> None:
    text = PAGE.read_text()
    assert len(ANCHORS) == len(SECTIONS)
    within = re.compile(r"\]\(#([^)]*)\)")
    assert set(within.findall(text)) - set(ANCHORS) == {"alerts"}
    others = {anchor for anchor, each in ANCHORS.items() if each.group != "Alerts"}
    assert others <= set(within.findall(text.partition("## Alerts")[0]))
    for page, anchor in re.findall(r"\]\((\w+\.md)#([^)]+)\)", text):
        headings = re.findall(r"^#+ (.*)$", (PAGE.parent / page).read_text(), re.MULTILINE)
        assert anchor in {slug(each) for each in headings}, f"{page}#{anchor}"


@functools.cache
def functions(path: Path) -> frozenset[str]:
    """The functions of a file."""
    defined = ast.FunctionDef, ast.AsyncFunctionDef
    return frozenset(node.name for node in ast.parse(path.read_text()).body if isinstance(node, defined))


@each_section
def test_it_is_shown_by_tests_that_exist(section: Section) -> None:
    named = section.quoted("Shown by")
    assert named
    for each in named:
        file, _, function = each.partition("::")
        assert file.startswith("tests/")
        assert function.startswith("test_")
        assert function in functions(ROOT / file), each


@each_section
def test_what_is_seen_is_what_the_controller_says(section: Section) -> None:
    quoted = [each for each in section.quoted("Seen") if not each.startswith(("kubectl ", "fedctl"))]
    assert missing(quoted) == []


def test_conditions_reasons_and_events_exist_wherever_they_are_named() -> None:
    words = {each for each in _QUOTED.findall(PAGE.read_text()) if _WORD.fullmatch(each)}
    assert missing(sorted(words - {"LimitNOFILE"})) == []


def test_what_mends_itself_quotes_the_controller() -> None:
    last = PAGE.read_text().partition("## What mends itself")[2]
    assert missing(_QUOTED.findall(last)) == []


def test_a_quote_that_nobody_says_is_found() -> None:
    assert missing(["cluster not ready", "no controller leads since the last one was stopped ... ago"]) == []
    assert missing(["cluster unready", "no controller leads ... forever"]) != []


def test_its_commands_have_the_verbs_and_flags_that_there_are() -> None:
    commands = [each for each in _QUOTED.findall(PAGE.read_text()) if each.startswith("fedctl ")]
    assert len(commands) > len(SECTIONS)
    for each in commands:
        try:
            check_all(each)
        except click.UsageError as error:
            pytest.fail(f"{each}: {error.format_message()}")
