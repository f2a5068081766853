"""The files that a PDF may be made of, and the fetcher that gives nothing else to WeasyPrint."""

from importlib.resources import files
from pathlib import Path

import matplotlib as mpl
from weasyprint.urls import URLFetcher, URLFetcherResponse

from cloud.reports.errors import ReportsUnavailable

# matplotlib brings these fonts: the PDF looks the same on every machine, also without any.
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf")
_SCHEME = "asset:"


def template(name: str) -> str:
    """Return the text of a bundled template."""
    return files("cloud.reports").joinpath("templates", name).read_text(encoding="utf-8")


class AssetFetcher(URLFetcher):  # type: ignore[misc] # weasyprint has no types
    """Answers `asset:FONT` and `data:`; files, networks and everything else do not exist."""

    def __init__(self) -> None:
        super().__init__(allowed_protocols=("data",), allow_redirects=False)

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
        """Return the asset; raise `ValueError` for any other address."""
        name = url.removeprefix(_SCHEME)
        if name != url and name in FONTS:
            return URLFetcherResponse(url, _font(name), {"Content-Type": "font/ttf"})
        return super().fetch(url, headers)


def _font(name: str) -> bytes:
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / name
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ReportsUnavailable(
            f"the font {name} of matplotlib is missing: pip install --force-reinstall matplotlib"
        ) from exc
