"""Stands between the product and localstripe: speaks today's Stripe API, and fails when told to.

localstripe knows a parameter only by the name that Stripe's API gave up in 2026-09, and answers
a declined confirmation as if it had worked; the gate translates both.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

import anyio
import httpx
from anyio.abc import SocketAttribute, SocketStream

from tests.support.localstripe import Localstripe

_TIMEOUT_S = 10.0
_PASSED = ("authorization", "content-type")
_RENAMED = (b"allowed_payment_method_types", b"payment_method_types")

Fault = Literal["cut", "hang", "lost", "500", "429"]


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
    upstream = f"http://127.0.0.1:{provider.port}"
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        httpx.AsyncClient(base_url=upstream, timeout=_TIMEOUT_S, trust_env=False) as client,
        anyio.create_task_group() as tasks,
    ):
        gate = Gate(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}")

        async def serve(stream: SocketStream) -> None:
            # Who asked may be gone at any time: killed, or tired of waiting.
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                async with stream:
                    while await _pass_on(stream, client, gate):
                        pass

        tasks.start_soon(listener.serve, serve)
        yield gate
        tasks.cancel_scope.cancel()


async def _pass_on(stream: SocketStream, client: httpx.AsyncClient, gate: Gate) -> bool:
    """Pass one request on; False when the connection is to end."""
    method, path, headers, body = await _read_request(stream)
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
    await _answer(stream, *_translated(path, got))
    return True


def _translated(path: str, got: httpx.Response) -> tuple[int, bytes]:
    """Answer as Stripe does: a confirmation that was declined is a card error."""
    if not path.endswith("/confirm") or got.status_code != httpx.codes.OK:
        return got.status_code, got.content
    intent = got.json()
    if intent["status"] != "requires_payment_method":
        return got.status_code, got.content
    error = {"type": "card_error", "payment_intent": intent, **intent["last_payment_error"]}
    return httpx.codes.PAYMENT_REQUIRED, json.dumps({"error": error}).encode()


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
