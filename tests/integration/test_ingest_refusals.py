"""A store that names the points it refuses: only their messages become dead letters, at once."""

from pathlib import Path

import anyio
import msgspec
import pytest

from cloud.timeseries.port import PointsRejected
from tests.support.ingestion import Flaky, running
from wire.ids import DeviceKey, device_id, tenant_id
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_PUMP = DeviceKey(tenant_id("acme"), device_id("pump"))


class Naming(Flaky):
    """A store that takes all but the values of `never`, and says which those are."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    async def write(self, batch: PointBatch) -> None:
        """Store the rest of the batch and name what is not."""
        self.writes += 1
        rows = batch.rows
        refused = [index for index, values in enumerate(rows.values) if self.never in values]
        for index in range(len(rows)):
            if index not in refused:
                await self.memory.write(PointBatch.of(rows.part(index, index + 1)))
        if refused:
            raise PointsRejected("some", readings=dict.fromkeys(refused, "666 is refused"))


def _payload(seq: int, value: float) -> bytes:
    values = {"a": value, "b": 1.0, "c": 2.0}
    return msgspec.json.encode({"boot": "k", "seq": seq, "ts": seq, "values": values})


async def test_storing_buries_the_messages_of_named_points_only(tmp_path: Path) -> None:
    """Also when it is a batch's first reading; nothing is written twice to find out."""
    store = Naming()
    async with running(tmp_path, store) as run:
        async with anyio.create_task_group() as tasks:
            for seq in range(1, 10):
                value = 666.0 if seq in (1, 5, 9) else 3.0
                tasks.start_soon(run.service.gateway.accept, _PUMP, _payload(seq, value))
        letters = await run.ledger.dead_letters(limit=99)
        totals = run.ledger.totals()
        batches = len(run.tapped)

    dead = sorted(msgspec.json.decode(letter.payload)["seq"] for letter in letters)
    assert (dead, totals.stored) == ([1, 5, 9], 6)
    assert {letter.reason for letter in letters} == {"666 is refused"}
    assert store.writes == batches
