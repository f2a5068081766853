"""`tidegate up` in the ingester's place: the real product, on the same broker and store."""

import os
import sys
from pathlib import Path
from subprocess import STDOUT

import anyio
import httpx

from tests.faults.ingester import Config
from tests.faults.plant import Ingester
from tests.support.ports import unused_port

_ROOT = Path(__file__).parents[2]
_ASK_S = 10.0
_TICK_S = 0.05


class Product(Ingester):
    """The process of `tidegate up`, and what it says of itself by HTTP."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._http_port = unused_port()

    async def start(self) -> None:
        """Start it, and wait until it takes work and the broker delivers to it."""
        await self.spawn()
        await self.until_part("broker", "ok")

    async def spawn(self) -> None:
        """Start it."""
        command = [sys.executable, "-c", "from tidegate.cli import main; main()", "up"]
        command += ["--no-simulator", "--no-agent", "--data", str(self.folder)]
        command += ["--port", str(self._http_port)]
        with self._log.open("ab") as log:
            self._process = await anyio.open_process(
                command, env=self._environment(), cwd=self.folder, stdout=log, stderr=STDOUT
            )

    async def answer(self, path: str) -> httpx.Response | None:
        """Return what it answers, or None when it does not."""
        async with httpx.AsyncClient(trust_env=False, timeout=_ASK_S) as client:
            try:
                return await client.get(f"http://127.0.0.1:{self._http_port}{path}")
            except httpx.TransportError:
                return None

    async def parts(self) -> dict[str, str]:
        """Return what `/health` says of each part; nothing when nobody answers."""
        health = await self.answer("/health")
        return {} if health is None else dict(health.json()["parts"])

    async def until_part(
        self, name: str, begins: str | tuple[str, ...], *, within_s: float = 40.0
    ) -> None:
        """Wait until what `/health` says of a part begins so, or in one of these ways."""
        with anyio.move_on_after(within_s):
            while not (await self.parts()).get(name, "").startswith(begins):
                self.check_alive()
                await anyio.sleep(_TICK_S)
            return
        raise AssertionError(f"{name} is never {begins!r}: {await self.parts()}")

    def _environment(self) -> dict[str, str]:
        config = self.config
        settings = {
            "BROKER__URL": f"mqtt://127.0.0.1:{config.port}",
            "TIMESERIES__URL": config.store or "",
            "INGEST__CLIENT_ID": config.client_id,
            "INGEST__BATCH_READINGS": str(config.batch_readings),
            "INGEST__SPOOL__AFTER_S": str(config.spool_after_s),
        }
        ours = {f"TIDEGATE__{name}": value for name, value in settings.items()}
        return {**os.environ, "PYTHONPATH": str(_ROOT), **ours}
