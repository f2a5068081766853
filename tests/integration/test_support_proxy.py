"""The proxy does to a connection what it says, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _through() -> AsyncIterator[tuple[Proxy, anyio.abc.SocketStream]]:
    """Return a proxy in front of an echo, and a client of it."""

    async def echo(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                while True:
                    await stream.send(await stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, echo)
        async with (
            Proxy(listener.extra(anyio.abc.SocketAttribute.local_port)) as proxy,
            await anyio.connect_tcp("127.0.0.1", proxy.port) as client,
        ):
            yield proxy, client
        tasks.cancel_scope.cancel()


async def _exactly(client: anyio.abc.SocketStream, size: int) -> bytes:
    data = b""
    with anyio.fail_after(5):
        while len(data) < size:
            data += await client.receive()
    return data


async def test_proxy_passes_everything_on() -> None:
    """Without a fault it is not there."""
    async with _through() as (proxy, client):
        await client.send(b"x" * 1_000_000)

        assert await _exactly(client, 1_000_000) == b"x" * 1_000_000
        assert proxy.to_server.passed_bytes == proxy.to_client.passed_bytes == 1_000_000


async def test_proxy_flips_one_byte_and_cuts_behind_another() -> None:
    """The byte that was named, in the direction that was named, once."""
    async with _through() as (proxy, client):
        proxy.to_server.corrupt_at = 2
        await client.send(b"aaaa")
        first = await _exactly(client, 4)
        proxy.to_client.cut_after = 3
        await client.send(b"aaaa")
        second = await _exactly(client, 3)

        assert first == b"aa\x9ea"
        assert second == b"aaa"
        with pytest.raises(anyio.EndOfStream):
            await client.receive()


async def test_proxy_freezes_without_loss_and_swallows_with_it() -> None:
    """What was frozen comes later; what was swallowed never, and the connection is reset."""
    async with _through() as (proxy, client):
        proxy.to_client.is_frozen = True
        await client.send(b"late")
        with anyio.move_on_after(0.2) as waited:
            await client.receive()
        proxy.heal()
        late = await _exactly(client, 4)

        proxy.to_client.swallows = True
        await client.send(b"lost")
        await anyio.sleep(0.2)
        proxy.heal()

        assert waited.cancelled_caught
        assert late == b"late"
        with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
            await client.receive()


async def test_proxy_resets_and_refuses() -> None:
    """A reset is one, and whoever comes while it refuses is reset at once."""
    async with _through() as (proxy, client):
        await client.send(b"a")
        await _exactly(client, 1)
        proxy.cut(with_reset=True)
        with pytest.raises(anyio.BrokenResourceError):
            await client.receive()
        proxy.refuses = True

        async with await anyio.connect_tcp("127.0.0.1", proxy.port) as refused:
            with pytest.raises(anyio.BrokenResourceError):
                await refused.receive()
        assert proxy.accepted == 2
