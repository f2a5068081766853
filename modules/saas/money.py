"""Money: whole minor units (cents, yen) and a currency. No floating point anywhere. Pure.

Rounding is commercial (half away from zero) and happens in exactly two places: once per priced
line (`charges`) and once per tax rate on the sum of its lines (`invoice`).
"""

import re
from decimal import Decimal
from fractions import Fraction

from modules.saas.errors import Rejected

MAX_MINOR = 10**15
"""The largest amount of one invoice: exact in 64 bits and in every JSON reader."""

_MAX_PERCENT = 100
_PERCENT = re.compile(r"\d{1,3}(\.\d{1,4})?", re.ASCII)

# ISO 4217; most have two digits after the point, those that have not are listed apart.
_TWO = """
    AED ALL AMD ARS AUD AZN BAM BBD BDT BGN BMD BOB BRL BSD BWP BYN BZD CAD CHF CNY COP CRC CZK DKK
    DOP DZD EGP ETB EUR FJD GBP GEL GHS GTQ HKD HNL HUF IDR ILS INR JMD KES KZT LBP LKR MAD MDL MKD
    MMK MNT MUR MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PHP PKR PLN QAR RON RSD RUB SAR SEK SGD
    THB TRY TTD TWD TZS UAH USD UYU UZS VES XCD ZAR ZMW
"""
_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_DIGITS = {
    **dict.fromkeys(_TWO.split(), 2),
    **dict.fromkeys(_NONE.split(), 0),
    **dict.fromkeys(_THREE.split(), 3),
}


def digits_of(currency: str) -> int:
    """Return how many digits a currency has after the point: EUR 2, JPY 0, KWD 3.

    Raises:
        Rejected: nobody told us of this currency; guessing would be wrong by a factor of 100.
    """
    if currency not in _DIGITS:
        raise Rejected(f"currency {currency[:8]!r} is unknown: use an ISO 4217 code such as 'EUR'")
    return _DIGITS[currency]


def rounded(amount: Fraction) -> int:
    """Round to a whole number, half away from zero (commercial rounding)."""
    whole = (2 * abs(amount.numerator) + amount.denominator) // (2 * amount.denominator)
    return whole if amount >= 0 else -whole


def bounded(minor: int) -> int:
    """Return the amount; raise `Rejected` when it is too large to be billed by a machine."""
    if abs(minor) > MAX_MINOR:
        raise Rejected("the amount is larger than one invoice can have: check usage and prices")
    return minor


def percent_of(rate: str, minor: int) -> int:
    """Return that percentage of an amount, rounded once; `rate` is a text such as '8.1'."""
    return rounded(minor * Fraction(rate) / 100)


def percent(value: object) -> str:
    """Return a percentage in its shortest form ('19.0' is '19').

    A float is refused: what JSON readers make of 8.1 is not 8.1.

    Raises:
        Rejected: it is no plain number from 0 to 100 with at most 4 digits after the point.
    """
    text = str(value) if isinstance(value, (str, int, Decimal)) else ""
    if isinstance(value, bool) or not _PERCENT.fullmatch(text) or Fraction(text) > _MAX_PERCENT:
        raise Rejected(f"a tax rate must be a text such as '19' or '8.1', not {str(value)[:20]!r}")
    whole, _, digits = text.partition(".")
    return f"{int(whole)}.{digits}".rstrip("0").rstrip(".") if digits else str(int(whole))


def decimal_of(minor: int, currency: str) -> Decimal:
    """Return an amount in major units, exact."""
    return Decimal(minor).scaleb(-digits_of(currency))


def money_text(minor: int, currency: str) -> str:
    """Write an amount as `EUR 1,234.50`."""
    digits = digits_of(currency)
    whole, rest = divmod(abs(minor), 10**digits)
    sign = "\u2212" if minor < 0 else ""
    fraction = f".{rest:0{digits}d}" if digits else ""
    return f"{currency}\u00a0{sign}{whole:,}{fraction}"
