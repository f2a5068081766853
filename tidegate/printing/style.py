"""A style sheet with its fonts, and WeasyPrint behind it. Needs the PDF libraries."""

import html
import logging
from typing import Any

import weasyprint
from weasyprint.text.fonts import FontConfiguration

from tidegate.printing.assets import SCHEME, AssetFetcher
from tidegate.printing.glyphs import spell_out


class Style:
    """Turns HTML into PDF; nothing but bundled fonts can get into it.

    The sheet names a font as `asset:DejaVuSans.ttf`.
    """

    def __init__(self, sheet: str) -> None:
        self._fetcher = AssetFetcher()
        self._fonts = FontConfiguration()
        self._sheet = weasyprint.CSS(
            string=sheet,
            base_url=SCHEME,
            url_fetcher=self._fetcher,
            font_config=self._fonts,
        )

    def pdf(self, source: str, *, identifier: bytes) -> bytes:
        """Return the HTML as a tagged PDF (PDF/UA-1): the same bytes for the same HTML.

        What no font of this machine can draw is spelt out.
        """
        text = spell_out(source, self._missing_in)
        return self._write(text, pdf_variant="pdf/ua-1", pdf_identifier=identifier)

    def _missing_in(self, characters: str) -> set[str]:
        """Return those of the characters that no font can draw, in bold or not."""
        notices = _MissingGlyphs()
        logger = logging.getLogger("weasyprint")
        logger.addHandler(notices)
        try:
            text = html.escape(" ".join(characters))
            self._write(f"<p>{text}</p><p><b>{text}</b></p>")
        finally:
            logger.removeHandler(notices)
        return notices.characters & set(characters)

    def _write(self, source: str, **options: object) -> bytes:
        page = weasyprint.HTML(string=source, base_url=SCHEME, url_fetcher=self._fetcher)
        content: bytes = page.write_pdf(
            stylesheets=[self._sheet], font_config=self._fonts, **options
        )
        return content


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
