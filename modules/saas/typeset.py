"""From an invoice to a PDF by WeasyPrint; nothing but bundled assets can get into it."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import weasyprint
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import URLFetcher, URLFetcherResponse

from modules.saas.document import html_of, template
from modules.saas.errors import PrintUnavailable
from modules.saas.glyphs import spell_out
from modules.saas.invoice import Invoice

# matplotlib brings these fonts: the PDF looks the same on every machine, also without any.
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
_SCHEME = "asset:"
_PACKAGES = "pip install 'tidegate[reports]'"


class AssetFetcher(URLFetcher):  # type: ignore[misc] # weasyprint has no types
    """Answers `asset:FONT`; files, networks and everything else do not exist."""

    def __init__(self) -> None:
        super().__init__(allowed_protocols=("data",), allow_redirects=False)

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
        """Return the asset; raise `ValueError` for any other address."""
        name = url.removeprefix(_SCHEME)
        if name != url and name in FONTS:
            return URLFetcherResponse(url, _font(name), {"Content-Type": "font/ttf"})
        return super().fetch(url, headers)


def typeset(invoice: Invoice) -> bytes:
    """Return the invoice as a tagged PDF (PDF/UA-1): the same bytes for the same invoice.

    What no font of this machine can draw is spelt out, which takes a second pass.
    """
    html = html_of(invoice)
    notices = _MissingGlyphs()
    logger = logging.getLogger("weasyprint")
    logger.addHandler(notices)
    try:
        content = _pdf(html, invoice.digest)
        missing = notices.characters & set(html)
        return _pdf(spell_out(html, missing), invoice.digest) if missing else content
    finally:
        logger.removeHandler(notices)


def _pdf(html: str, identifier: bytes) -> bytes:
    fetcher, fonts = AssetFetcher(), FontConfiguration()
    sheet = weasyprint.CSS(
        string=template("invoice.css"),
        base_url=_SCHEME,
        url_fetcher=fetcher,
        font_config=fonts,
    )
    page = weasyprint.HTML(string=html, base_url=_SCHEME, url_fetcher=fetcher)
    content: bytes = page.write_pdf(
        stylesheets=[sheet],
        font_config=fonts,
        pdf_variant="pdf/ua-1",
        pdf_identifier=identifier,
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


def _font(name: str) -> bytes:
    """Read a font where matplotlib lies; importing it for that would cost a second."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise PrintUnavailable(f"the PDF of an invoice needs fonts of matplotlib: {_PACKAGES}")
    try:
        return Path(found.origin).with_name("mpl-data").joinpath("fonts", "ttf", name).read_bytes()
    except OSError as exc:
        raise PrintUnavailable(
            f"the font {name} of matplotlib is missing: pip install --force-reinstall matplotlib"
        ) from exc
