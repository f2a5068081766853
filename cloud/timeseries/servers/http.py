"""HTTP to a server that keeps telemetry: persistent connections, limits, one kind of failure."""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Self

import httpx

from cloud.timeseries.port import StoreAway
from cloud.timeseries.servers.address import Address
from cloud.timeseries.servers.answers import Answer, good, seconds_of

TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 5.0
_CONNECTIONS = 8


class Cut(StoreAway):
    """The connection broke while a request was under way: nobody knows what became of it."""


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
    async def lines(
        self, path: str, params: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Ask for what comes line by line; leaving early ends it.

        Raises:
            StoreAway: it did not answer in time, broke off, or said no.
        """
        with _translated(self.address.name):
            async with self._client.stream("GET", path, params=params) as response:
                if not response.is_success:
                    await response.aread()
                    good(self.address.name, _answer(response))
                async with aclosing(_lines(response.aiter_bytes())) as lines:
                    yield lines

    async def _ask(self, request: httpx.Request) -> Answer:
        with _translated(self.address.name):
            return _answer(await self._client.send(request))


def _answer(response: httpx.Response) -> Answer:
    return Answer(
        response.status_code,
        response.content,
        response.headers.get("x-influxdb-version"),
        seconds_of(response.headers.get("retry-after")),
    )


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Cut at line feeds alone: texts hold other characters that Python takes for ends of lines."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest


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
