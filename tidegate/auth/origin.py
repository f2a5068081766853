"""Whether a request that changes something came from one of our own pages. Pure."""

from collections.abc import Mapping
from urllib.parse import urlsplit


def same_origin(headers: Mapping[str, str], public_url: str | None = None) -> bool:
    """Tell whether a browser says that the request comes from our own pages.

    `Sec-Fetch-Site` decides where the browser sends it, else `Origin` must name the host that
    was asked (or that of `public_url`, behind a proxy that rewrites `Host`). A request with
    neither comes from no browser, so no person's cookie can be abused by it. Header names are
    in lower case.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    asked = {headers.get("host", "").lower(), _host(public_url or "")} - {""}
    return _host(origin) in asked


def _host(url: str) -> str:
    """Return host and port of a URL as a browser writes them in `Host`, '' when it has none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        # No browser sends what is no URL, such as `http://[`.
        return ""


def came_by_https(
    headers: Mapping[str, str], public_url: str | None = None, *, scheme: str = ""
) -> bool:
    """Return whether the person's browser spoke HTTPS, to us or to a proxy before us."""
    forwarded = headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
    return (forwarded or scheme_of(public_url) or scheme) == "https"


def scheme_of(url: str | None) -> str:
    """Return `http` or `https`, '' for no URL."""
    return urlsplit(url or "").scheme.lower()
