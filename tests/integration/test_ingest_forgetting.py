"""What ingestion forgets of deleted devices while it runs, in its ledger and in its memory."""

from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.abc import TaskStatus

from cloud.ingest.forgetting import Forgetting
from cloud.ingest.intake.intake import Intake
from cloud.ingest.ledger.ledger import Ledger, LedgerAway
from cloud.settings import Ingest as Settings
from cloud.settings import Limits
from tests.support.ingestion import Flaky, running
from wire.ids import DeviceKey, TenantId, device_id, tenant_id

pytestmark = pytest.mark.anyio

_ACME = TenantId("acme")
_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))
_FAN = DeviceKey(tenant_id("acme"), device_id("fan"))
_SETTINGS = Settings(batch_wait_s=0.02, limits=Limits(max_series_per_tenant=2))


def _payload(seq: int) -> bytes:
    return msgspec.json.encode({"boot": "k", "seq": seq, "ts": seq, "values": {"a": 1, "b": 2}})


@pytest.mark.parametrize("device", ["pump", None])
async def test_forgetting_makes_room_in_a_running_instance(
    tmp_path: Path, device: str | None
) -> None:
    """A full tenant takes another device at once, and no more than that; so it is after a start."""
    async with running(tmp_path, Flaky(), settings=_SETTINGS) as run:
        accept = run.service.gateway.accept
        await accept(_PUMP, _payload(1))
        full = await accept(_FAN, _payload(1))
        await run.service.forgetting.forget("acme", device)
        left = run.ledger.series_of(_ACME)
        room = await accept(_FAN, _payload(2))
        full_again = await accept(_PUMP, _payload(2))

    async with running(tmp_path, Flaky(), settings=_SETTINGS) as run:
        after_restart = await run.service.gateway.accept(_PUMP, _payload(3))

    taken = [one.accepted for one in (full, room, full_again, after_restart)]
    assert (left, taken) == (0, [0, 1, 0, 0])


async def test_forgetting_lets_a_device_come_again(tmp_path: Path) -> None:
    """Its series are in the ledger again, and counted once, however often it is deleted."""
    async with running(tmp_path, Flaky(), settings=_SETTINGS) as run:
        taken = []
        for seq in range(1, 4):
            taken.append((await run.service.gateway.accept(_PUMP, _payload(seq))).accepted)
            counted = run.ledger.series_of(_ACME)
            await run.service.forgetting.forget("acme", "pump")
            await run.service.forgetting.forget("acme", "pump")

        assert (taken, counted) == ([1, 1, 1], 2)


async def test_forgetting_waits_for_nobody_for_ever(tmp_path: Path) -> None:
    """While a batch is filled and cannot be, the caller is told to try again later."""
    filling = anyio.Lock()

    async def fill(*, task_status: TaskStatus[None]) -> None:
        async with filling:
            task_status.started()
            await anyio.sleep_forever()

    async with Ledger(tmp_path / "ingest.db") as ledger, anyio.create_task_group() as tasks:
        forgetting = Forgetting(ledger, Intake(ledger, Settings()), filling=filling, timeout_s=0.01)
        await tasks.start(fill)

        with pytest.raises(LedgerAway, match="try again"):
            await forgetting.forget("acme", "pump")
        tasks.cancel_scope.cancel()
