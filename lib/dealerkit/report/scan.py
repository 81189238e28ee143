"""Reading a finished page as a browser would: what it shows, and what it would load."""

from __future__ import annotations

import re
from html.parser import HTMLParser

#: Tags that do not end a word.
_INLINE = {"a", "abbr", "b", "code", "em", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u", "wbr"}
#: Attributes whose text a reader may meet.
_SHOWN = {"alt": "alt text", "title": "title", "aria-label": "label", "content": "meta text", "data-origin": "origin"}
_LOADS = {
    "src",
    "href",
    "srcset",
    "poster",
    "data",
    "action",
    "formaction",
    "background",
    "xlink:href",
    "ping",
    "manifest",
    "cite",
    "longdesc",
}
_ACTIVE = {
    "script",
    "iframe",
    "object",
    "embed",
    "link",
    "base",
    "form",
    "audio",
    "video",
    "source",
    "applet",
    "frame",
    "portal",
}
_CSS_LOAD = re.compile(r"@import|url\(\s*['\"]?(?!data:|#)", re.IGNORECASE)
_RELATIVE = re.compile(r"(?:[\w\-.%]+\.html)?(?:#[\w\-.%]*)?")


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.loads: list[str] = []
        self._style = False

    def handle_starttag(self, tag, attrs):
        self._style = tag == "style"
        self.text.append("" if tag in _INLINE else "\n")
        if tag in _ACTIVE:
            self.loads.append(f"<{tag}>")
        for name, value in attrs:
            value = value or ""
            if name in _SHOWN:
                self.attributes.append((_SHOWN[name], value))
            if name in _LOADS and not self._harmless(tag, value):
                self.loads.append(f"<{tag} {name}={value[:60]!r}>")
            if name.startswith("on") or name == "http-equiv" and value.lower() == "refresh":
                self.loads.append(f"<{tag} {name}>")
            if name == "style" and _CSS_LOAD.search(value):
                self.loads.append(f"<{tag} style={value[:60]!r}>")

    @staticmethod
    def _harmless(tag: str, value: str) -> bool:
        return (
            value.startswith("data:image/")
            if tag == "img"
            else tag in ("a", "area") and bool(_RELATIVE.fullmatch(value))
        )

    def handle_endtag(self, tag):
        self._style = False
        self.text.append("" if tag in _INLINE else "\n")

    def handle_data(self, data):
        if not self._style:
            self.text.append(data)
        elif _CSS_LOAD.search(data):
            self.loads.append("<style> with url() or @import")


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader


def shown(html: str, where: str) -> list[tuple[str, str]]:
    """(where, text) of what the HTML shows: its text, and the texts of attributes; pictures' data is left out."""
    reader = _read(html)
    return [(f"text {where}", "".join(reader.text)), *((f"{what} {where}", value) for what, value in reader.attributes)]


def loads(html: str) -> list[str]:
    """Every place where a browser would load something, follow a link off the report, or run something."""
    return _read(html).loads


def plain(html: str) -> str:
    """The text of a piece of HTML on one line."""
    return " ".join("".join(_read(html).text).split())
