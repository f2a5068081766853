"""What ingestion forgets of devices whose telemetry is deleted, while it goes on."""

from functools import partial

import anyio
import anyio.to_thread

from cloud.ingest.intake.intake import Intake
from cloud.ingest.ledger.ledger import Ledger, LedgerAway

_TIMEOUT_S = 15.0


class Forgetting:
    """Forgets in the ledger and in the intake, while no batch is filled: `filling` is its lock."""

    def __init__(
        self, ledger: Ledger, intake: Intake, *, filling: anyio.Lock, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._ledger = ledger
        self._intake = intake
        self._filling = filling
        self._timeout_s = timeout_s

    async def forget(self, tenant: str, device: str | None = None) -> None:
        """Forget the births and series of a device, or of all of a tenant; they may come again.

        Series count no longer against the limits, and begin again with the next reading. One
        that began within the last batches, which are not committed yet, may count twice then,
        until the next start.

        Raises:
            LedgerAway: not everything is forgotten; calling it again is harmless.
        """
        await self._ledger.forget_births(tenant, device)
        try:
            with anyio.fail_after(self._timeout_s):
                await self._filling.acquire()
        except TimeoutError as exc:
            raise LedgerAway("the ingest ledger is awaited by others: try again later") from exc
        try:
            # What the ledger has forgotten, the intake must not remember.
            with anyio.CancelScope(shield=True):
                count = await self._ledger.forget_series(tenant, device)
                forget = partial(self._intake.forget, tenant, device, series=count)
                await anyio.to_thread.run_sync(forget)
        finally:
            self._filling.release()
