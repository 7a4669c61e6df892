"""The built site, read as a browser reads it: what each page links to, what it loads, what it has."""

from collections import Counter
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"
LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href", "object": "data"}


class Html(HTMLParser):
    """One page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.language = ""
        self.alternates: dict[str, str] = {}
        self.tags: Counter[str] = Counter()  # of the article alone
        self._article = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "html":
            self.language = found.get("lang", "")
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
            if "hreflang" in found:
                self.alternates[found["hreflang"]] = found["href"]
        elif found.get(LOADED.get(tag, "")) and found.get("rel") not in ("canonical", "alternate", "next", "prev"):
            self.loads.append(found[LOADED[tag]])
        self._article += tag == "article"
        if self._article:
            self.tags[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        self._article -= tag == "article"


@cache
def page(path: Path) -> Html:
    return Html(path)


def pages(folder: str = "") -> list[Path]:
    """Return the pages of a folder of the site; 404.html is served from every path, and its links are absolute."""
    return [path for path in sorted((SITE / folder).rglob("*.html")) if path.name != "404.html"]


def broken(found: Html, link: str) -> str:
    """Say what is wrong with a link within the site, or return an empty text."""
    parts = urlsplit(link)
    target = (found.path.parent / unquote(parts.path)).resolve() if parts.path else found.path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_relative_to(SITE) or not target.is_file():
        return f"{link}: no such file"
    anchor = unquote(parts.fragment)
    if anchor and target.suffix == ".html" and anchor not in page(target).ids and anchor != "__skip":
        return f"{link}: no such anchor"
    return ""
