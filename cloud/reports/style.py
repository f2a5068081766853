"""The style sheet with its fonts, and WeasyPrint behind it. Needs the PDF libraries."""

import html
import logging
from typing import Any

import weasyprint
from weasyprint.text.fonts import FontConfiguration

from cloud.reports.assets import AssetFetcher, template


class Style:
    """Turns HTML into PDF; nothing but bundled assets can get into it."""

    def __init__(self) -> None:
        self._fetcher = AssetFetcher()
        self._fonts = FontConfiguration()
        self._sheet = weasyprint.CSS(
            string=template("report.css"),
            base_url="asset:",
            url_fetcher=self._fetcher,
            font_config=self._fonts,
        )

    def pdf(self, source: str, **options: object) -> bytes:
        """Return the HTML as PDF; options are those of WeasyPrint's `write_pdf`."""
        page = weasyprint.HTML(string=source, base_url="asset:", url_fetcher=self._fetcher)
        content: bytes = page.write_pdf(
            stylesheets=[self._sheet], font_config=self._fonts, **options
        )
        return content

    def missing_in(self, characters: str) -> set[str]:
        """Return those of the characters that no font can draw, in bold or not."""
        notices = _MissingGlyphs()
        logger = logging.getLogger("weasyprint")
        logger.addHandler(notices)
        try:
            text = html.escape(" ".join(characters))
            self.pdf(f"<p>{text}</p><p><b>{text}</b></p>")
        finally:
            logger.removeHandler(notices)
        return notices.characters & set(characters)


class _MissingGlyphs(logging.Handler):
    """Gathers what WeasyPrint warns of; if its wording changes, boxes stay boxes."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.characters: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Take the character from a warning about a glyph."""
        args: Any = record.args
        if "notdef" in str(record.msg) and isinstance(args, tuple) and args:
            self.characters.add(str(args[0]))
