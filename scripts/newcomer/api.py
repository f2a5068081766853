"""The JSON API and the page, as a client outside of the project sees them."""

import io
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import pypdf

from scripts.newcomer.checks import require

Points = dict[str, list[list[Any]]]
_TIMEOUT_S = 20.0


class Api:
    """Calls with a bearer token."""

    def __init__(self, base_url: str, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._http.close()

    def ready(self) -> bool:
        """Tell whether `/ready` answers 200."""
        try:
            return self._http.get("/ready", timeout=2.0).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def status_of(self, path: str) -> int:
        """Return the status with which a path answers a GET."""
        return self._http.get(path).status_code

    def get(self, path: str, **query: object) -> dict[str, Any]:
        """GET a JSON document; raise `CheckFailed` when the answer is not 200."""
        answer = self._http.get(path, params={k: str(v) for k, v in query.items()})
        require(answer.status_code == httpx.codes.OK, f"GET {path}: {_told(answer)}")
        document: dict[str, Any] = answer.json()
        return document

    def post(self, path: str, body: object, *, expect: int) -> httpx.Response:
        """POST JSON; raise `CheckFailed` when the answer has another status."""
        answer = self._http.post(path, json=body)
        require(answer.status_code == expect, f"POST {path}: {_told(answer)}")
        return answer

    def devices(self) -> set[tuple[str, str]]:
        """Return tenant and name of every device."""
        return {(d["tenant"], d["device"]) for d in self.get("/api/v1/devices")["devices"]}

    def points(self, tenant: str, device: str, *, from_ms: int = 0, to_ms: int) -> Points:
        """Return the raw points of a device's metrics (Unix ms, `to_ms` exclusive)."""
        found = self.get(
            "/api/v1/series", tenant=tenant, device=device, **{"from": from_ms, "to": to_ms}
        )
        return {series["metric"]: series["points"] for series in found["series"]}

    def ledger(self, tenant: str, device: str) -> dict[str, Any]:
        """Return the fates of a device's readings."""
        return self.get(f"/api/v1/devices/{quote(tenant)}/{quote(device)}/ledger")

    def dead_letters(self, tenant: str, device: str) -> list[dict[str, Any]]:
        """Return a device's dead letters."""
        found = self.get("/api/v1/dead-letters", tenant=tenant, device=device)
        letters: list[dict[str, Any]] = found["dead_letters"]
        return letters

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts."""
        alerts: list[dict[str, Any]] = self.get("/api/v1/alerts")["alerts"]
        return alerts

    def pdf_text(self, location: str) -> str | None:
        """Return the text of a PDF, None while it is being made."""
        answer = self._http.get(location)
        if not answer.headers.get("content-type", "").startswith("application/pdf"):
            require(answer.status_code < httpx.codes.BAD_REQUEST, f"{location}: {_told(answer)}")
            require('"failed"' not in answer.text, f"{location}: {_told(answer)}")
            return None
        pages = pypdf.PdfReader(io.BytesIO(answer.content)).pages
        return "\n".join(page.extract_text() for page in pages)


def page_after_login(base_url: str, *, username: str, password: str) -> str:
    """Log in as a browser does and return the page's HTML."""
    with httpx.Client(base_url=base_url, follow_redirects=True, timeout=_TIMEOUT_S) as browser:
        first = browser.get("/")
        require(first.url.path == "/login", f"without login / led to {first.url.path}")
        browser.post("/login", data={"username": username, "password": password})
        page = browser.get("/")
        require(page.url.path == "/", f"after login / led to {page.url.path}")
        require(page.status_code == httpx.codes.OK, f"GET /: {_told(page)}")
        return page.text


def now_ms() -> int:
    """Return the time (Unix ms)."""
    return round(datetime.now(UTC).timestamp() * 1_000)


def _told(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.text[:300]}"
