"""`tidegate telemetry delete` against an instance that runs."""

from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import anyio.to_thread
import pytest

from cloud.data_folder import DataFolder
from cloud.timeseries.memory import Memory
from cloud.timeseries.steps import delete_telemetry_step, delete_tenant_telemetry_step
from tests.support.instances import tidegate
from tests.support.serving import ADMIN_TOKEN, served_steps
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_STEPS = [delete_telemetry_step, delete_tenant_telemetry_step]
_DEVICES = (("acme", "pump"), ("acme", "kühl schrank"), ("b", "pump"))


class _Forgetting:
    """An ingestion that knows nothing."""

    async def forget(self, tenant: str, device: str | None = None) -> None:
        """Nothing to forget."""


@pytest.fixture
async def telemetry(tmp_path: Path) -> AsyncIterator[Memory]:
    """Serve the steps as the instance of `data`, over a store with three devices."""
    store = Memory()
    keys = [SeriesKey(TenantId(t), DeviceId(d), MetricName("t")) for t, d in _DEVICES]
    await store.write(PointBatch(keys, [1] * 3, [1.0] * 3))
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    (folder.path / "admin.token").write_text(ADMIN_TOKEN)
    files = {Path(str(step.__file__)).stem: _source(str(step.__file__)) for step in _STEPS}
    with folder.locked():
        needed: dict[str, Any] = {"telemetry": store, "forgetting": _Forgetting()}
        async with served_steps(tmp_path, files, **needed) as (port, _):
            folder.note_address(f"http://127.0.0.1:{port}")
            yield store


def _source(file: str) -> str:
    return Path(file).read_text("utf-8")


async def _delete(tmp_path: Path, *arguments: str) -> CompletedProcess[str]:
    data = ("--data", str(tmp_path / "data"))
    return await anyio.to_thread.run_sync(
        lambda: tidegate("telemetry", "delete", *arguments, *data)
    )


async def _left(store: Memory) -> list[tuple[str, str]]:
    return [(one.key.tenant, one.key.device) for one in await store.latest()]


async def test_command_deletes_a_device(telemetry: Memory, tmp_path: Path) -> None:
    """Whatever its name is, it says what was deleted."""
    done = await _delete(tmp_path, "acme", "kühl schrank", "--yes")

    assert done.stdout == "deleted 1 series of 1 devices: acme/kühl schrank\n", done.stderr
    assert await _left(telemetry) == [("acme", "pump"), ("b", "pump")]


async def test_command_deletes_a_tenant(telemetry: Memory, tmp_path: Path) -> None:
    """All of its devices, and nobody else's."""
    done = await _delete(tmp_path, "acme", "--yes")

    assert done.stdout == "deleted 2 series of 2 devices: acme\n", done.stderr
    assert await _left(telemetry) == [("b", "pump")]


async def test_command_asks_first(telemetry: Memory, tmp_path: Path) -> None:
    """Without an answer nothing is deleted."""
    done = await _delete(tmp_path, "acme")

    assert done.returncode != 0
    assert "Delete the telemetry of all devices of tenant acme for ever?" in done.stdout
    assert len(await _left(telemetry)) == 3


async def test_command_needs_an_instance_that_runs(tmp_path: Path) -> None:
    """One line says what to start."""
    DataFolder(tmp_path / "data").prepare()

    done = await _delete(tmp_path, "acme", "--yes")

    assert done.returncode != 0
    assert "start `tidegate up` first" in done.stderr
