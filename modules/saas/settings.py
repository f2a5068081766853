"""The settings of the SaaS module: who sells, on which terms, which plans there are."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from modules.saas.errors import Rejected
from modules.saas.money import digits_of, percent
from modules.saas.plans import Catalogue, Plan, Price, Tier, catalogue_of
from modules.saas.terms import Seller, Terms
from tidegate.configuration import load
from tidegate.errors import Misconfigured

ENVIRONMENT = "TIDEGATE_SAAS_CONFIG"
"""The environment variable that names the TOML file."""


def _per_currency(month_minor: int, *tiers: Tier) -> tuple[Price, ...]:
    """Return the same number of cents, pence and yen."""
    return tuple(Price(currency, month_minor, tiers) for currency in ("EUR", "USD", "GBP", "JPY"))


SAMPLE_PLANS = (
    Plan("free", "Free plan", _per_currency(0), included_calls=30_000, daily_api_calls=1_000),
    Plan(
        "starter",
        "Starter plan",
        _per_currency(19_00, Tier(50)),
        included_calls=100_000,
        daily_api_calls=10_000,
    ),
    Plan(
        "pro",
        "Pro plan",
        _per_currency(99_00, Tier(40, up_to=1_000_000), Tier(25)),
        included_calls=1_000_000,
        daily_api_calls=100_000,
    ),
    Plan(
        "enterprise",
        "Enterprise plan",
        _per_currency(999_00, Tier(20, up_to=50_000_000), Tier(10)),
        included_calls=10_000_000,
    ),
)


class SaasSettings(msgspec.Struct, frozen=True):
    """All of it; `plans` replaces the sample plans as a whole."""

    seller: Seller = Seller()
    terms: Terms = Terms()
    plans: tuple[Plan, ...] = SAMPLE_PLANS

    @property
    def catalogue(self) -> Catalogue:
        """The plans by name."""
        return {plan.name: plan for plan in self.plans}


def load_settings(environ: Mapping[str, str]) -> SaasSettings:
    """Read the TOML file that `TIDEGATE_SAAS_CONFIG` names; without one the samples hold.

    Raises:
        Misconfigured: the file cannot be read, or a key or value in it is wrong.
    """
    path = environ.get(ENVIRONMENT)
    # The variables TIDEGATE__… belong to the telemetry services; ours come from the file alone.
    settings = load(SaasSettings, Path(path) if path else None, environ={})
    catalogue_of(settings.plans)
    try:
        digits_of(settings.terms.currency)
        percent(settings.terms.tax_rate)
    except Rejected as exc:
        raise Misconfigured(f"{path}: [terms] {exc}") from exc
    return settings
