"""Numbers as a reader of a report wants them: one scale and one precision for each metric."""

import math
from typing import NamedTuple

_BYTE_UNITS = ("B", "B/s")
_BYTE_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SIGNIFICANT_DIGITS = 4
_LARGE, _SMALL = 1e9, 1e-3
_WHOLE = 10_000
DASH = "\N{EN DASH}"


class Scale(NamedTuple):
    """How the values of one metric are written: divided by `divisor`, with `decimals`."""

    unit: str
    divisor: float = 1.0
    decimals: int = 2
    scientific: bool = False

    def text(self, value: float) -> str:
        """Write a value without its unit."""
        scaled = value / self.divisor
        if not math.isfinite(scaled):
            return DASH
        if self.scientific:
            return f"{scaled:.3e}"
        rounded = round(scaled, self.decimals) + 0.0  # + 0.0 turns -0.0 into 0.0
        return f"{rounded:,.{self.decimals}f}".replace("-", "\N{MINUS SIGN}")

    def with_unit(self, value: float) -> str:
        """Write a value and its unit."""
        return f"{self.text(value)} {self.unit}".rstrip()


def scale_for(unit: str, low: float, high: float) -> Scale:
    """Choose the scale for values from `low` to `high`: four digits, byte prefixes of SI."""
    largest = max(abs(low), abs(high))
    divisor, prefix = _byte_prefix(largest) if unit in _BYTE_UNITS else (1.0, "")
    scaled = largest / divisor
    if not math.isfinite(scaled) or scaled == 0.0:
        return Scale(prefix + unit, divisor, 0)
    if scaled >= _LARGE or scaled < _SMALL:
        return Scale(prefix + unit, divisor, scientific=True)
    digits_before = math.floor(math.log10(scaled)) + 1
    decimals = min(4, max(0, _SIGNIFICANT_DIGITS - max(1, digits_before)))
    whole = low.is_integer() and high.is_integer() and divisor == 1.0
    return Scale(prefix + unit, divisor, min(decimals, 2) if whole else decimals)


def percent_text(share: float | None) -> str:
    """Write a share of 0 to 1 as a percentage, rounded down: 99.999 % never reads as 100 %."""
    if share is None:
        return DASH
    hundredths = math.floor(share * _WHOLE + 1e-9)
    return f"{hundredths // 100}.{hundredths % 100:02d} %" if hundredths < _WHOLE else "100 %"


def count_text(count: int | None) -> str:
    """Write a count with thousands separated."""
    return DASH if count is None else f"{count:,}"


def _byte_prefix(largest: float) -> tuple[float, str]:
    return next(((d, p) for d, p in _BYTE_PREFIXES if largest >= d), (1.0, ""))
