"""How the `stripe` package reaches its server: over httpx, cancellable, each wait bounded.

The package's own client for httpx passes bodies in a way that httpx has deprecated.
"""

from collections.abc import Mapping
from typing import Any

import httpx
import stripe


class StripeHttp(stripe.HTTPClient):
    """A client of `stripe`'s interface; only the asynchronous calls."""

    name = "httpx"

    def __init__(self, *, timeout_s: float) -> None:
        super().__init__()
        self._client = httpx.AsyncClient(timeout=timeout_s)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request; what goes wrong on the way is an `APIConnectionError`."""
        try:
            answer = await self._client.request(
                method, url, headers=dict(headers), content=post_data
            )
        except httpx.HTTPError as exc:
            what = type(exc).__name__
            # The package has no annotations there.
            raise stripe.APIConnectionError(what) from exc  # type: ignore[no-untyped-call]
        return answer.content, answer.status_code, answer.headers

    async def close_async(self) -> None:
        """Close the connections."""
        await self._client.aclose()
