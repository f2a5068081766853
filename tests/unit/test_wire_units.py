"""Units by the suffix of a metric's name."""

import re

import pytest

from wire import mappings
from wire.units import unit_of

_NAME = re.compile(r'^name = "(.*_[a-z]+)"$', re.MULTILINE)
# Last words of names that are no unit.
_NO_UNITS = {"connections", "count", "event", "factor", "mode", "power", "reason", "state"}


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        ("outlet_temperature_c", "°C"),
        ("energy_wh", "Wh"),
        ("energy_kwh", "kWh"),
        ("em:0.a_apparent_power_va", "VA"),
        ("reactive_power_1_var", "var"),
        ("wifi_signal_dbm", "dBm"),
        ("free_heap_kb", "kB"),
        ("received_bytes_per_s", "B/s"),
        ("power_factor", ""),
        ("c", ""),
    ],
)
def test_unit_is_that_of_the_longest_suffix(metric: str, unit: str) -> None:
    """`_bytes_per_s` is no `_s`; a name without a unit has none."""
    assert unit_of(metric) == unit


@pytest.mark.parametrize("file", sorted(mappings.shipped()))
def test_unit_is_known_for_every_shipped_mapping(file: str) -> None:
    """A mapping that ships says no unit that pages and reports cannot show."""
    named = set(_NAME.findall(mappings.shipped()[file]))

    unknown = {name for name in named if not unit_of(name)}

    assert named
    assert {name.rsplit("_", 1)[1] for name in unknown} <= _NO_UNITS
