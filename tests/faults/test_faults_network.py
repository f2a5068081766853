"""What networks do, on the devices' leg and on the ingester's, in both directions.

Devices are careless where the broker keeps everything: MQTT alone has to be enough there.
"""

from collections.abc import Callable, Sequence
from functools import partial

import anyio
import pytest

from tests.faults.conftest import Trial
from tests.faults.plant import Plant
from tests.support.proxy import Direction, Proxy

pytestmark = pytest.mark.anyio

_SHARES = (0.15, 0.35, 0.6)
# Longer than the ingester's keep-alive of 2 s allows, and than devices bear silence.
_LONG_S = 7.0
_LEGS = ("devices_leg", "ingester_leg")
_DIRECTIONS = ("to_server", "to_client")


def _direction(plant: Plant, leg: str, direction: str) -> Direction:
    found = getattr(getattr(plant, leg), direction)
    assert isinstance(found, Direction)
    return found


async def _swallow(plant: Plant, *, leg: str, directions: Sequence[str]) -> None:
    """Lose everything for a while; whoever noticed has connected anew."""
    await plant.reached(0.2)
    proxy: Proxy = getattr(plant, leg)
    for direction in directions:
        _direction(plant, leg, direction).swallows = True
    await anyio.sleep(_LONG_S)
    proxy.heal()
    while proxy.accepted < 2:  # noqa: ASYNC110 - a plain count
        await anyio.sleep(0.1)


@pytest.mark.parametrize("leg", _LEGS)
@pytest.mark.parametrize("with_reset", [False, True], ids=["fin", "rst"])
async def test_faults_connection_cut(trial: Trial, leg: str, *, with_reset: bool) -> None:
    """Ended at once, in the middle of whatever was on its way."""

    async def cut(plant: Plant) -> None:
        for share in _SHARES:
            await plant.reached(share)
            proxy: Proxy = getattr(plant, leg)
            proxy.cut(with_reset=with_reset)
        while proxy.accepted <= len(_SHARES):  # noqa: ASYNC110 - a plain count
            await anyio.sleep(0.1)

    account = await trial(cut, is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


@pytest.mark.parametrize("leg", _LEGS)
@pytest.mark.parametrize("direction", _DIRECTIONS)
async def test_faults_half_open(trial: Trial, leg: str, direction: str) -> None:
    """One direction loses everything while the connection seems to stand."""
    account = await trial(partial(_swallow, leg=leg, directions=[direction]), is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


@pytest.mark.parametrize("leg", _LEGS)
async def test_faults_black_hole(trial: Trial, leg: str) -> None:
    """Nothing arrives in either direction, and whoever connects anew is not answered."""
    account = await trial(partial(_swallow, leg=leg, directions=_DIRECTIONS), is_careless=True)

    assert account.faults() == {}
    assert account.stored == account.published


@pytest.mark.parametrize("leg", _LEGS)
@pytest.mark.parametrize("direction", _DIRECTIONS)
async def test_faults_bytes_cut_off_and_corrupted(trial: Trial, leg: str, direction: str) -> None:
    """One byte wrong, or the end of the connection, at places that nobody has chosen."""
    happened = []

    async def spoil(plant: Plant) -> None:
        for number, share in enumerate((0.1, 0.25, 0.4, 0.55)):
            await plant.reached(share)
            faults = _direction(plant, leg, direction)
            if number % 2:
                faults.cut_after = 1_237 * number
            else:
                faults.corrupt_at = 1_871 * (number + 1)
            # Only what has happened has been tried. When a length was hit, the connection stands
            # still for a while, and all that is left may come at once behind it.
            while _is_pending(faults) and not plant.finished.is_set():  # noqa: ASYNC110 - plain
                await anyio.sleep(0.05)
            if not _is_pending(faults):
                happened.append(share)
            faults.heal()

    account = await trial(spoil)

    assert len(happened) >= 2
    # A wrong byte in the name of a field makes it another field: a reading without its sequence
    # is one that nobody has seen before. Nothing but TLS helps against that.
    assert account.faults().keys() <= {"stored_twice"}
    assert account.stored_twice <= 2
    assert account.stored == account.published


def _is_pending(faults: Direction) -> bool:
    return (faults.cut_after, faults.corrupt_at) != (None, None)


@pytest.mark.parametrize(
    ("name", "ail"),
    [
        ("slow", lambda faults: setattr(faults, "latency_s", 0.15)),
        ("narrow", lambda faults: setattr(faults, "bytes_per_s", 200_000.0)),
    ],
)
async def test_faults_slow_network(
    trial: Trial, name: str, ail: Callable[[Direction], None]
) -> None:
    """Latency and little bandwidth on both legs cost time and nothing else."""

    async def slow(plant: Plant) -> None:
        await plant.reached(0.1)
        for leg in _LEGS:
            for direction in _DIRECTIONS:
                ail(_direction(plant, leg, direction))
        await anyio.sleep(5)
        for leg in _LEGS:
            getattr(plant, leg).heal()

    account = await trial(slow)

    assert account.faults() == {}
    assert account.stored == account.published
