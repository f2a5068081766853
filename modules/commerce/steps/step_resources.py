"""What the shop's steps ask for: payments, and the rules of the fraud check."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from modules.commerce.fraud import FraudRules
from modules.commerce.payments.memory import MemoryPayments
from modules.commerce.payments.stripe import open_stripe
from modules.commerce.settings import read_settings

log = structlog.get_logger()


@asynccontextmanager
async def resources(data_dir: Path) -> AsyncIterator[Mapping[str, object]]:  # noqa: ARG001
    """Yield `payments` and `fraud_rules` by the environment's settings.

    Raises:
        Misconfigured: the settings do not say where payments go.
    """
    settings = read_settings(os.environ)
    if settings.payments == "memory":
        log.warning("payments.pretended", reason="no money moves: for trials only")
        yield {"payments": MemoryPayments(), "fraud_rules": FraudRules()}
        return
    async with open_stripe(settings.stripe_key, url=settings.stripe_url) as payments:
        yield {"payments": payments, "fraud_rules": FraudRules()}
