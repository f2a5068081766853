"""What else of a device goes with its telemetry: its Sparkplug births, which name its metrics."""

from typing import Protocol


class Births(Protocol):
    """Who keeps the births (`cloud.ingest.ledger.ledger.Ledger`)."""

    async def forget_births(self, tenant: str, device: str | None = None) -> None:
        """Forget those of a device, or of all devices of a tenant; again it is no error."""
        ...
