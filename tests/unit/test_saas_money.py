"""Money: exact, rounded once and in the stated way, in every currency."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.saas.errors import Rejected
from modules.saas.money import (
    MAX_MINOR,
    bounded,
    decimal_of,
    digits_of,
    money_text,
    percent,
    percent_of,
    rounded,
)

AMOUNTS = st.integers(-MAX_MINOR, MAX_MINOR)
RATES = st.decimals(0, 100, places=4).map(lambda rate: percent(str(rate)))


@pytest.mark.parametrize(
    ("amount", "whole"),
    [("0.5", 1), ("1.5", 2), ("2.5", 3), ("2.4999", 2), ("-0.5", -1), ("-2.5", -3), ("0.49", 0)],
)
def test_rounded_goes_half_away_from_zero(amount: str, whole: int) -> None:
    """Commercial rounding, not half to even: 2.5 is 3."""
    assert rounded(Fraction(amount)) == whole


@given(AMOUNTS, RATES)
def test_percent_of_is_what_decimal_arithmetic_says(minor: int, rate: str) -> None:
    """The tax agrees with an independent calculation, at any amount and rate."""
    exact = Decimal(minor) * Decimal(rate) / 100

    assert percent_of(rate, minor) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123450, "EUR", "EUR\u00a01,234.50"),
        (5, "USD", "USD\u00a00.05"),
        (0, "CHF", "CHF\u00a00.00"),
        (1234, "JPY", "JPY\u00a01,234"),
        (1234, "KWD", "KWD\u00a01.234"),
        (-150, "EUR", "EUR\u00a0\u22121.50"),
    ],
)
def test_money_text_has_the_digits_of_the_currency(minor: int, currency: str, text: str) -> None:
    """Yen have none, dinars three."""
    assert money_text(minor, currency) == text


@given(AMOUNTS, st.sampled_from(["EUR", "JPY", "KWD"]))
def test_money_text_reads_back_exactly(minor: int, currency: str) -> None:
    """No digit is lost on paper."""
    read = Decimal(money_text(minor, currency)[4:].replace(",", "").replace("\u2212", "-"))

    assert read == decimal_of(minor, currency)
    assert read.scaleb(digits_of(currency)) == minor


@pytest.mark.parametrize("currency", ["", "eur", "XXX", "EURO", "\u20ac"])
def test_digits_of_an_unknown_currency_are_not_guessed(currency: str) -> None:
    """A wrong guess would be wrong by a factor of 100."""
    with pytest.raises(Rejected):
        digits_of(currency)


@pytest.mark.parametrize(
    ("written", "shortest"),
    [
        ("19", "19"),
        (19, "19"),
        ("19.00", "19"),
        ("8.10", "8.1"),
        ("0", "0"),
        (Decimal("7.7"), "7.7"),
        ("100", "100"),
        ("007", "7"),
    ],
)
def test_percent_has_one_form(written: object, shortest: str) -> None:
    """Two ways of writing a rate are one rate on the invoice."""
    assert percent(written) == shortest


@pytest.mark.parametrize(
    "wrong",
    [8.1, True, None, "", "-1", "100.1", "1e1", "NaN", "1/3", "8,1", "8.12345", "\u0661", "19 %"],
)
def test_percent_refuses_what_is_no_plain_number(wrong: object) -> None:
    """A float above all: what a reader makes of 8.1 is not 8.1."""
    with pytest.raises(Rejected):
        percent(wrong)


def test_bounded_refuses_what_no_invoice_can_have() -> None:
    """The largest amount is still exact everywhere."""
    assert bounded(MAX_MINOR) == MAX_MINOR
    with pytest.raises(Rejected):
        bounded(-MAX_MINOR - 1)
