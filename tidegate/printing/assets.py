"""The fonts that a PDF may be made of, and the fetcher that gives nothing else to WeasyPrint."""

from importlib.util import find_spec
from pathlib import Path

from weasyprint.urls import URLFetcher, URLFetcherResponse

from tidegate.printing.confined import PACKAGES
from tidegate.printing.errors import PrintUnavailable

# matplotlib brings these fonts: the PDF looks the same on every machine, also without any.
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf")
SCHEME = "asset:"


class AssetFetcher(URLFetcher):  # type: ignore[misc] # weasyprint has no types
    """Answers `asset:FONT` and `data:`; files, networks and everything else do not exist."""

    def __init__(self) -> None:
        super().__init__(allowed_protocols=("data",), allow_redirects=False)

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
        """Return the asset; raise `ValueError` for any other address."""
        name = url.removeprefix(SCHEME)
        if name != url and name in FONTS:
            return URLFetcherResponse(url, _font(name), {"Content-Type": "font/ttf"})
        return super().fetch(url, headers)


def _font(name: str) -> bytes:
    """Read a font where matplotlib lies; importing it for that would cost a second."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise PrintUnavailable(f"PDFs need fonts of matplotlib: {PACKAGES}")
    try:
        return Path(found.origin).with_name("mpl-data").joinpath("fonts", "ttf", name).read_bytes()
    except OSError as exc:
        raise PrintUnavailable(
            f"the font {name} of matplotlib is missing: pip install --force-reinstall matplotlib"
        ) from exc
