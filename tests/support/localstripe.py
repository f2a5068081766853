"""A stand-in for Stripe: localstripe as a process of its own, behind a gate that can fail.

localstripe (GPL-3.0-or-later, so a program that tests start and never a library that we import)
is stateful: what was charged is counted there. It keeps no idempotency keys. It knows a
parameter only by the name that Stripe's API gave up in 2026-09; the gate translates that.
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, Literal

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream

from tests.support.ports import unused_port, wait_for_port

KEY = "sk_test_12345"
_START_TIMEOUT_S = 20.0
_TIMEOUT_S = 10.0
_PASSED = ("authorization", "content-type")
_RENAMED = (b"allowed_payment_method_types", b"payment_method_types")

Fault = Literal["cut", "hang", "lost", "500", "429"]


class Localstripe:
    """The provider: what it was asked for, as it tells itself."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=_TIMEOUT_S,
            trust_env=False,
        )

    def intents(self, order_id: str) -> list[dict[str, Any]]:
        """Return the payments that were opened for an order."""
        return [
            intent
            for intent in self._list("payment_intents")
            if intent["metadata"].get("order_id") == order_id
        ]

    def charges(self, order_id: str) -> list[int]:
        """Return the amounts that were really taken for an order."""
        ids = {intent["id"] for intent in self.intents(order_id)}
        return [
            charge["amount"]
            for charge in self._list("charges")
            if charge["payment_intent"] in ids and charge["paid"]
        ]

    def refunds(self, order_id: str) -> list[int]:
        """Return the amounts that went back for an order."""
        ids = {intent["id"] for intent in self.intents(order_id)}
        return [r["amount"] for r in self._list("refunds") if r["payment_intent"] in ids]

    def new_card(self, card: dict[str, str]) -> str:
        """Make a payment method of a test card; returns its id."""
        data = {"type": "card", **{f"card[{name}]": value for name, value in card.items()}}
        answer = self._client.post("/v1/payment_methods", data=data)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _list(self, what: str) -> list[dict[str, Any]]:
        answer = self._client.get(f"/v1/{what}", params={"limit": 100_000})
        answer.raise_for_status()
        data: list[dict[str, Any]] = answer.json()["data"]
        return data


class Gate:
    """Stands before localstripe, passes requests on, and fails when it is told to.

    `cut`: the request is carried out, then the connection dies without an answer; `hang`: it
    stays, and no answer comes. `lost`: it dies before. `500`, `429`: answered so, not carried out.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, str, str]] = []
        self._faults: list[tuple[str, Fault]] = []

    def fail_next(self, part: str, fault: Fault, *, times: int = 1) -> None:
        """Fail the next requests whose `METHOD /path` ends so."""
        self._faults += [(part, fault)] * times

    def fault_for(self, request: str) -> Fault | None:
        """Return the fault that is due for a request, and forget it."""
        for index, (part, fault) in enumerate(self._faults):
            if request.endswith(part):
                del self._faults[index]
                return fault
        return None


@asynccontextmanager
async def open_gate(provider: Localstripe) -> AsyncIterator[Gate]:
    """Open a gate before the provider while the context is open."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    gate = Gate(f"http://127.0.0.1:{port}")
    upstream = f"http://127.0.0.1:{provider.port}"
    async with (
        httpx.AsyncClient(base_url=upstream, timeout=_TIMEOUT_S, trust_env=False) as client,
        anyio.create_task_group() as tasks,
    ):

        async def serve(stream: SocketStream) -> None:
            async with stream:
                while await _pass_on(stream, client, gate):
                    pass

        tasks.start_soon(listener.serve, serve)
        yield gate
        tasks.cancel_scope.cancel()
    await listener.aclose()


async def _pass_on(stream: SocketStream, client: httpx.AsyncClient, gate: Gate) -> bool:
    """Pass one request on; False when the connection is to end."""
    try:
        method, path, headers, body = await _read_request(stream)
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return False
    gate.requests.append((method, path, headers.get("idempotency-key", "")))
    fault = gate.fault_for(f"{method} {path}")
    if fault == "lost":
        return False
    if fault in ("500", "429"):
        await _answer(stream, int(fault), b'{"error": {"type": "api_error"}}')
        return True
    wanted = {name: value for name, value in headers.items() if name in _PASSED}
    got = await client.request(method, path, headers=wanted, content=body.replace(*_RENAMED))
    if fault == "hang":
        await anyio.sleep_forever()
    if fault == "cut":
        return False
    await _answer(stream, got.status_code, got.content)
    return True


async def _read_request(stream: SocketStream) -> tuple[str, str, dict[str, str], bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    while len(body) < int(headers.get("content-length", 0)):
        body += await stream.receive()
    return method, path, headers, body


async def _answer(stream: SocketStream, status: int, content: bytes) -> None:
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
        f"Retry-After: 7\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    await stream.send(head.encode() + content)


@pytest.fixture(scope="session")
def localstripe() -> Iterator[Localstripe]:
    """Run one localstripe for the whole session; orders of different tests have different ids."""
    if find_spec("localstripe") is None:
        reason = "localstripe is not installed: it is among the development dependencies"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    port = unused_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "localstripe", "--from-scratch", "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, timeout_s=_START_TIMEOUT_S)
        provider = Localstripe(port)
        yield provider
        provider.close()
    finally:
        process.kill()
        process.wait()
