"""Plans and settings: what cannot be billed is refused at the start."""

from pathlib import Path
from typing import Any

import pytest

import modules.saas
from modules.saas.errors import Rejected
from modules.saas.plans import Plan, Price, Tier, catalogue_of, plan_of
from modules.saas.settings import ENVIRONMENT, SAMPLE_PLANS, SaasSettings, load_settings
from modules.saas.tenants import Customer, tenant_as
from tidegate.errors import Misconfigured

FREE_END = Tier(1)


def of(*tiers: Tier, currency: str = "EUR") -> list[Plan]:
    """Make a catalogue of one plan."""
    return [Plan("p", "P", (Price(currency, 1, tiers),))]


@pytest.mark.parametrize(
    ("plans", "reason"),
    [
        (of(Tier(1, up_to=5)), "the last tier must not have up_to"),
        (of(FREE_END, FREE_END), "must rise"),
        (of(Tier(1, up_to=5), Tier(1, up_to=5), FREE_END), "must rise"),
        (of(Tier(1, up_to=9), Tier(1, up_to=5), FREE_END), "must rise"),
        (of(currency="XXX"), "currency 'XXX' is unknown"),
        (of() * 2, "is there twice"),
        ([Plan("p", "P", (Price("EUR", 1), Price("EUR", 2)))], "two prices in one currency"),
    ],
)
def test_catalogue_refuses_plans_with_unpriced_calls(plans: list[Plan], reason: str) -> None:
    """Tiers leave no gap, overlap nowhere and have no end."""
    with pytest.raises(Misconfigured, match=reason):
        catalogue_of(plans)


def test_sample_plans_are_a_valid_catalogue() -> None:
    """The samples are held to the same rules."""
    assert set(catalogue_of(SAMPLE_PLANS)) == {"free", "starter", "pro", "enterprise"}


def test_unknown_plan_names_the_known_ones() -> None:
    """The reason says what could have been meant."""
    with pytest.raises(Rejected, match="known are: p"):
        plan_of(catalogue_of(of()), "q")


def test_settings_come_from_the_file_that_the_environment_names(tmp_path: Path) -> None:
    """Seller, terms and plans; what is absent has its default."""
    file = tmp_path / "saas.toml"
    file.write_text(
        """
        [seller]
        name = "Tidal Metering GmbH"
        [terms]
        tax_rate = "8.1"
        [[plans]]
        name = "one"
        title = "The one plan"
        included_calls = 10
        [[plans.prices]]
        currency = "CHF"
        month_minor = 100
        tiers = [{ price_minor = 5, up_to = 10 }, { price_minor = 3 }]
        """
    )

    settings = load_settings({ENVIRONMENT: str(file)})

    assert (settings.seller.name, settings.terms.tax_rate) == ("Tidal Metering GmbH", "8.1")
    assert settings.catalogue["one"].price_in("CHF").tiers[1] == Tier(3)
    assert not settings.seller.is_example


def test_settings_sample_has_the_defaults(tmp_path: Path) -> None:
    """The sample file is what holds without one, and its commented plan is the sample's."""
    sample = Path(modules.saas.__file__).with_name("sample.toml")
    file = tmp_path / "saas.toml"
    head, plan = sample.read_text().split("# [[plans]]", maxsplit=1)
    file.write_text(head + "[[plans]]" + plan.replace("\n# ", "\n").replace("\n#\n", "\n"))

    settings, sampled = (load_settings({ENVIRONMENT: str(one)}) for one in (file, sample))

    assert sampled == SaasSettings()
    [pro] = settings.plans
    assert pro.price_in("EUR") == SaasSettings().catalogue["pro"].price_in("EUR")


def test_settings_without_a_file_are_the_samples() -> None:
    """It runs at once, and can tell that nobody has said who sells."""
    settings = load_settings({})

    assert settings == SaasSettings()
    assert settings.seller.is_example


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[terms]\ntax_rate = 8.1", "tax_rate"),
        ("[terms]\ntax_rate = 'much'", "tax rate"),
        ("[terms]\ncurrency = 'XXX'", "unknown"),
        ("[terms]\npayment_days = -1", "payment_days"),
        ("[seler]\nname = 'x'", "did you mean 'seller'"),
        (
            "[[plans]]\nname = 'a'\ntitle='A'\nprices = [{ currency = 'EUR', month_minor = 1.5 }]",
            "month_minor",
        ),
    ],
)
def test_settings_that_are_wrong_refuse_the_start(tmp_path: Path, text: str, reason: str) -> None:
    """The message names the key."""
    file = tmp_path / "saas.toml"
    file.write_text(text)

    with pytest.raises(Misconfigured, match=reason):
        load_settings({ENVIRONMENT: str(file)})


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        ("1 Main Street\nSpringfield\r\n\n", ("1 Main Street", "Springfield")),
        (["  1 Main Street ", ""], ("1 Main Street",)),
        ((), ()),
    ],
)
def test_customer_address_is_a_text_or_a_list(address: Any, lines: tuple[str, ...]) -> None:
    """Both ways of writing it are the same lines."""
    customer = tenant_as(Customer, "acme", {"plan": "p", "address": address})

    assert customer.address_lines == lines
