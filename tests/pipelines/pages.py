"""A report's page as a browser would read it."""

from html.parser import HTMLParser
from pathlib import Path

from pipelines.report import write_report


class Page(HTMLParser):
    """Tags with their attributes, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        self.text += " " if tag in ("td", "th", "dt", "dd") else ""

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)
        else:
            self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    def having(self, name: str, style: str) -> list[dict[str, str | None]]:
        return [a for a in self.all(name) if style in (a.get("class") or "").split()]


def page_of(out: str, tmp_path: Path, max_clips: int = 60) -> Page:
    write_report(out, tmp_path / "new" / "report.html", max_clips=max_clips)
    return Page((tmp_path / "new" / "report.html").read_text(encoding="utf-8"))


def squeezed(text: str) -> str:
    return " ".join(text.split())
