"""What else of a device goes with its telemetry: its Sparkplug births, and its count of series."""

from typing import Protocol


class Forgetting(Protocol):
    """Who keeps these (`cloud.ingest.forgetting.Forgetting`)."""

    async def forget(self, tenant: str, device: str | None = None) -> None:
        """Forget those of a device, or of all devices of a tenant; again it is no error."""
        ...
