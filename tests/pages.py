"""A report read as a browser would: its elements, and what it may not hold."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

EMPTY = {"meta", "img", "br"}
DRAWN = {"polyline", "circle", "line"}
OPEN = {"p", "li", "tr", "td", "th", "thead", "tbody"}  # HTML closes these by itself


@dataclass
class Element:
    """An element with its attributes, the text in it, and the section it lies in."""

    name: str
    attributes: dict[str, str]
    section: str
    text: str = ""
    path: tuple[str, ...] = ()


@dataclass
class Page:
    """A page taken apart."""

    elements: list[Element] = field(default_factory=list)

    def all(self, name: str, section: str | None = None, kind: str | None = None) -> list[Element]:
        return [
            each
            for each in self.elements
            if each.name == name
            and (section is None or each.section == section)
            and (kind is None or kind in each.attributes.get("class", "").split())
        ]

    def text(self, section: str) -> str:
        return next(each.text for each in self.elements if each.name == "section" and each.attributes["id"] == section)

    @property
    def sections(self) -> list[str]:
        return [each.attributes["id"] for each in self.all("section")]

    def table(self, section: str, at: int = 0) -> list[list[str]]:
        """The cells of a table's rows, the head among them."""
        found: list[list[list[str]]] = []
        for each in self.elements:
            if each.section != section:
                continue
            if each.name == "table":
                found.append([])
            elif each.name == "tr":
                found[-1].append([])
            elif each.name in ("td", "th"):
                found[-1][-1].append(each.text)
        return found[at]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in OPEN:
            self._end({"td": ("td", "th"), "th": ("td", "th"), "tr": ("td", "th", "tr")}.get(tag, (tag,)))
        attributes = {name: value or "" for name, value in attrs}
        section = attributes.get("id", "") if tag == "section" else self.open[-1].section if self.open else ""
        each = Element(tag, attributes, section, path=tuple(one.name for one in self.open))
        self.page.elements.append(each)
        if tag not in EMPTY:
            self.open.append(each)

    def _end(self, names: tuple[str, ...]) -> None:
        while self.open and self.open[-1].name in names:
            self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN, tag
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1].name != tag and self.open[-1].name in OPEN:
            self.open.pop()
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for each in self.open:
            each.text += data


def read(path: Path) -> Page:
    """The page, which is whole and asks for nothing from outside."""
    text = path.read_text(encoding="utf-8")
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    page = reader.page
    policy = next(each for each in page.all("meta") if each.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.attributes["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    for each in page.elements:
        assert each.name not in ("script", "link", "iframe", "object", "embed", "base", "form"), each
        for name, value in each.attributes.items():
            assert not name.startswith("on"), each
            if name in ("src", "href"):
                assert value.startswith(("data:image/png;base64,", "#")), value
    assert not re.search(r"https?:|@import|url\(", text)
    links = {each.attributes["href"][1:] for each in page.all("a")}
    assert links == set(page.sections)
    return page


def pictures(page: Page, section: str) -> list[Image.Image]:
    """The pictures of a section, decoded."""
    found = []
    for each in page.all("img", section):
        data = base64.b64decode(each.attributes["src"].partition(",")[2])
        picture = Image.open(io.BytesIO(data))
        picture.load()
        found.append(picture)
    return found
