"""A client that takes nothing of a file does not hold it for ever."""

from pathlib import Path

import anyio
import pytest
from prometheus_client import REGISTRY

from tests.support.serving import served_steps
from tests.support.steps import until
from tidegate.http.limits import Limits

pytestmark = pytest.mark.anyio

STEPS = {
    "file_step": """
    from pathlib import Path
    config = {"type": "api", "name": "StalledFile", "path": "/file"}
    async def handler(req, ctx, *, file):
        return Path(file)
    """
}


def _count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


async def test_file_to_a_client_that_reads_nothing_is_cut(tmp_path: Path) -> None:
    """After its time the answer ends, is counted, and its connection is given up."""
    limits = Limits(send_timeout_s=0.2, takes_nothing_s=0.6)
    file = tmp_path / "large"
    file.write_bytes(b"x" * 30_000_000)

    async def cut() -> bool:
        return _count("tidegate_http_streams_cut_total", step="StalledFile", why="too_slow") == 1

    async def given_up() -> bool:
        return _count("tidegate_http_connections_refused_total", why="stuck") == 1

    async with (
        served_steps(tmp_path, STEPS, limits=limits, file=str(file)) as (port, _),
        await anyio.connect_tcp("127.0.0.1", port) as client,
    ):
        await client.send(b"GET /file HTTP/1.1\r\nHost: here\r\n\r\n")
        await until(cut)
        await until(given_up)
