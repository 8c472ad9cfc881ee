"""What a report says, read from its page: numbers, texts, and whether it is one whole page by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br", "hr", "img", "link", "input"}
_BY_ITSELF = {"rect", "path", "circle", "line"}


@dataclass(slots=True)
class Told:
    """A number of the page."""

    value: float
    text: str
    of: str
    """`low` and `high` for those below a median, of which they are."""


@dataclass(slots=True)
class Page(HTMLParser):
    """A page, read to its end; AssertionError where its tags do not fit."""

    numbers: list[Told] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    plain: dict[str, list[str]] = field(default_factory=dict)
    """Texts that are no numbers, by the tags and classes that they stand in."""
    ids: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)
    _median: str = ""
    _small: int = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in found.items()]
        self.ids += [found["id"]] if "id" in found and not self._inside("svg") else []
        if tag == "data":
            self._number(found)
        if tag not in _VOID:
            self._open.append(f"{tag}.{found.get('class', '')}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        last = self._open.pop()
        assert last.split(".")[0] == tag, f"</{tag}> ends <{last}> in {self._open}"

    def handle_data(self, data: str) -> None:
        if self._inside("data"):
            self.numbers[-1].text += data
        elif data.strip():
            for each in {name for one in self._open for name in (one.split(".")[0], one)}:
                self.plain.setdefault(each, []).append(data)

    def _inside(self, tag: str) -> bool:
        return any(each.startswith(f"{tag}.") for each in self._open)

    def _number(self, found: Mapping[str, str]) -> None:
        of = found.get("data-of", "")
        if of:
            self._median, self._small = of.removeprefix("median "), 0
        else:
            of, self._small = f"{('low', 'high')[self._small]} {self._median}", self._small + 1
        self.numbers.append(Told(float(found["value"]), "", of))

    @property
    def unclosed(self) -> list[str]:
        """Tags that never end."""
        return self._open


def read(html: str) -> Page:
    """The page."""
    page = Page()
    HTMLParser.__init__(page)
    page.feed(html)
    page.close()
    return page
