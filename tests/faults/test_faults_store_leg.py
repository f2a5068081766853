"""What networks do between the ingester and a store that is a server."""

import time
from collections.abc import Awaitable, Callable

import anyio
import pytest

from cloud.timeseries.servers.http import TIMEOUT_S
from tests.faults.account import Account
from tests.faults.conftest import Trial
from tests.faults.ingester import Config
from tests.faults.plant import Plant
from tests.support.influxd import Influxd
from tests.support.proxy import Proxy
from tests.support.victoria import Victoria

pytestmark = pytest.mark.anyio

_HOUR_MS = 3_600_000
_SHARES = (0.15, 0.35, 0.6)

Ail = Callable[[Plant, Proxy], Awaitable[None]]
Over = Callable[[Ail], Awaitable[Account]]


@pytest.fixture(params=["influxd", "victoria"])
def server(request: pytest.FixtureRequest) -> Influxd | Victoria:
    """Run each of both servers."""
    found = request.getfixturevalue(f"own_{request.param}")
    assert isinstance(found, Influxd | Victoria)
    return found


@pytest.fixture
def over(trial: Trial, server: Influxd | Victoria) -> Over:
    """Return what runs a trial whose store is behind a proxy that can ail."""

    async def run(ail: Ail) -> Account:
        async with Proxy(server.port) as leg:

            async def fail(plant: Plant) -> None:
                await ail(plant, leg)

            url = server.url("faults").replace(str(server.port), str(leg.port))
            return await trial(
                fail,
                config=Config(0, "", url),
                show=server.flush if isinstance(server, Victoria) else None,
                first_ts_ms=time.time_ns() // 1_000_000 - _HOUR_MS,
                is_careless=True,
            )

    return run


async def test_faults_store_slow(over: Over) -> None:
    """Its answers take their time, and so does what is sent to it."""

    async def slow(plant: Plant, leg: Proxy) -> None:
        await plant.reached(0.1)
        leg.to_client.latency_s = leg.to_server.latency_s = 0.4
        leg.to_server.bytes_per_s = 400_000.0
        await anyio.sleep(6)
        leg.heal()

    account = await over(slow)

    assert account.faults() == {}
    assert account.stored == account.published


@pytest.mark.parametrize("with_reset", [False, True], ids=["fin", "rst"])
async def test_faults_store_cut(over: Over, *, with_reset: bool) -> None:
    """At once, in the middle of a body, and before the answer has come."""

    async def cut(plant: Plant, leg: Proxy) -> None:
        for share in _SHARES:
            await plant.reached(share)
            leg.cut(with_reset=with_reset)
            for direction, after_bytes in ((leg.to_server, 2_345), (leg.to_client, 20)):
                direction.cut_after = after_bytes
                # Only what has happened has been tried.
                while direction.cut_after is not None:  # noqa: ASYNC110 - a plain attribute
                    await anyio.sleep(0.05)

    account = await over(cut)

    assert account.faults() == {}
    assert account.stored == account.published


@pytest.mark.parametrize("answers_only", [False, True], ids=["black_hole", "half_open"])
async def test_faults_store_swallowed(over: Over, *, answers_only: bool) -> None:
    """Nothing arrives there, or it takes everything and is never heard; first for very long."""

    async def swallow(plant: Plant, leg: Proxy) -> None:
        for share, lasts_s in ((0.2, TIMEOUT_S + 4), (0.5, 5.0)):
            await plant.reached(share)
            leg.to_client.swallows = True
            leg.to_server.swallows = not answers_only
            await anyio.sleep(lasts_s)
            leg.heal()
        assert plant.ingester.has_said("does not answer in time")

    account = await over(swallow)

    assert account.faults() == {}
    assert account.stored == account.published
