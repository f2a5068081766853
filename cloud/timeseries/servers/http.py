"""HTTP to a server that keeps telemetry: persistent connections, limits, one kind of failure."""

import math
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import NamedTuple, Self

import httpx

from cloud.timeseries.port import StoreAway
from cloud.timeseries.servers.address import Address

TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 5.0
LONGEST_WAIT_S = 600.0
_CONNECTIONS = 8
_FAULT_CHARS = 300


class Cut(StoreAway):
    """The connection broke while a request was under way: nobody knows what became of it."""


class Answer(NamedTuple):
    """What a server said, whatever the status."""

    status: int
    body: bytes
    version: str | None = None
    retry_after_s: float | None = None

    @property
    def is_good(self) -> bool:
        """Return whether the request did what it was for."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the statuses of success

    @property
    def text(self) -> str:
        """Return the beginning of the body: what went wrong, in the server's words."""
        return self.body[:_FAULT_CHARS].decode(errors="replace").strip()


class Http:
    """A client of one server; open it with `async with`. Every failure is `StoreAway`."""

    def __init__(self, address: Address, *, timeout_s: float = TIMEOUT_S) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self._client = _client(address, timeout_s)

    async def __aenter__(self) -> Self:
        """Open nothing yet: connections are made when they are needed."""
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._client.__aexit__(kind, error, trace)

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Ask for something.

        Raises:
            StoreAway: it did not answer in time, or could not be reached.
        """
        return await self._ask(self._client.build_request("GET", path, params=params))

    async def post(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        content: bytes = b"",
        content_type: str = "text/plain",
    ) -> Answer:
        """Send something with POST (see `send`)."""
        return await self.send("POST", path, params, content=content, content_type=content_type)

    async def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        content: bytes,
        content_type: str,
    ) -> Answer:
        """Send something.

        Raises:
            Cut: the connection broke; it may have been done or not.
            StoreAway: it did not answer in time (and may have done it or not), or could not be
                reached.
        """
        headers = {"Content-Type": content_type}
        request = self._client.build_request(
            method, path, params=params, content=content, headers=headers
        )
        return await self._ask(request)

    @asynccontextmanager
    async def lines(self, path: str, params: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """Ask for what comes line by line (`aiter_lines`); leaving early ends it.

        Raises:
            StoreAway: it did not answer in time, broke off, or said no.
        """
        with _translated(self.address.name):
            async with self._client.stream("GET", path, params=params) as response:
                if response.is_error:
                    text = (await response.aread())[:_FAULT_CHARS].decode(errors="replace")
                    raise StoreAway(f"{self.address.name} says {response.status_code}: {text}")
                yield response

    async def _ask(self, request: httpx.Request) -> Answer:
        with _translated(self.address.name):
            response = await self._client.send(request)
        return Answer(
            response.status_code,
            response.content,
            response.headers.get("x-influxdb-version"),
            seconds_of(response.headers.get("retry-after")),
        )


def seconds_of(header: str | None) -> float | None:
    """Return what a `Retry-After` header says, at most 600 s; None when it is no number."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S) if math.isfinite(seconds) else None


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Translate httpx's errors; they never repeat the account or what was sent."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
        raise StoreAway(f"{name} cannot be reached: {exc}") from exc
    except httpx.TimeoutException as exc:
        raise StoreAway(f"{name} does not answer in time") from exc
    except (httpx.TransportError, httpx.DecodingError) as exc:
        raise Cut(f"the connection to {name} broke off") from exc


def _client(address: Address, timeout_s: float) -> httpx.AsyncClient:
    headers: dict[str, str] = {}
    auth: httpx.Auth | None = None
    if address.user is not None:
        password = address.password.reveal() if address.password is not None else ""
        auth = httpx.BasicAuth(address.user, password)
    elif address.password is not None:
        headers["Authorization"] = f"Token {address.password.reveal()}"
    return httpx.AsyncClient(
        base_url=address.http_url,
        auth=auth,
        headers=headers,
        timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
        limits=httpx.Limits(max_connections=_CONNECTIONS),
        # The system's certificates; `SSL_CERT_FILE` names others.
        verify=ssl.create_default_context(),
        trust_env=False,
    )
