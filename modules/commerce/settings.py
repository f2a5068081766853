"""What the shop is told by its environment."""

from collections.abc import Mapping
from typing import Literal, cast

import msgspec

from tidegate.errors import Misconfigured

PREFIX = "TIDEGATE_COMMERCE_"


class Settings(msgspec.Struct, frozen=True):
    """Where payments go. `stripe_url` is only for a server that stands in for Stripe's."""

    payments: Literal["stripe", "memory"]
    stripe_key: str = ""
    stripe_url: str | None = None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings.

    Raises:
        Misconfigured: nothing says where payments go, or Stripe's key is missing. A shop that
            confirms orders without money must be asked for by name.
    """
    payments = environment.get(f"{PREFIX}PAYMENTS", "")
    if payments not in ("stripe", "memory"):
        raise Misconfigured(
            f"set {PREFIX}PAYMENTS to 'stripe', or to 'memory' for a trial that moves no money"
        )
    key = environment.get(f"{PREFIX}STRIPE_KEY", "")
    if payments == "stripe" and not key:
        raise Misconfigured(f"set {PREFIX}STRIPE_KEY to the secret key of your Stripe account")
    url = environment.get(f"{PREFIX}STRIPE_URL") or None
    return Settings(cast("Literal['stripe', 'memory']", payments), key, url)
