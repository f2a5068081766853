"""Values of state and events survive encoding exactly."""

from datetime import UTC, date, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.engine import values
from tidegate.engine.plain import as_plain
from tidegate.errors import NonRetriable
from wire.events import AnomalyDetected

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=5, minutes=45))))
    | st.datetimes()
    | st.dates()
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(_values)
def test_values_round_trip(value: object) -> None:
    """What goes in comes out, with its type."""
    again = values.decode(values.encode(value))

    assert again == value
    assert type(again) is type(value)


def test_values_keep_falsy_apart() -> None:
    """0, False, the empty text and None stay four different things."""
    falsy = [0, False, "", None, 0.0, Decimal("0.00"), [], {}]

    again = values.decode(values.encode(falsy))

    assert [type(value) for value in again] == [type(value) for value in falsy]
    assert str(again[5]) == "0.00"


class _Model:
    """Dumps itself as pydantic's models do."""

    def model_dump(self) -> dict[str, object]:
        return {"price": Decimal("1.10"), "parts": [1]}


def test_values_take_models() -> None:
    """A model is kept as its plain data, in a state and in an event, with exact types."""
    kept = values.decode(values.encode({"cup": _Model()}))

    assert kept == {"cup": {"price": Decimal("1.10"), "parts": [1]}}
    assert as_plain([_Model()]) == [kept["cup"]]


@pytest.mark.parametrize("value", ["\ud800", {"\udc00": 1}, [{"a": "x\udfff"}]])
def test_values_refuse_what_is_no_unicode(value: object) -> None:
    """A lone surrogate cannot be stored, and no retry helps."""
    with pytest.raises(NonRetriable, match="cannot be stored"):
        values.encode(value)


def test_values_take_structs_and_dates() -> None:
    """A Struct becomes its dict; a date stays a date."""
    event = AnomalyDetected("t", "d", "m", 1, 2.0, 3.0, 0.9, "range")

    again = values.decode(values.encode({"event": event, "day": date(2026, 11, 24)}))

    assert again["event"]["metric"] == "m"
    assert again["day"] == date(2026, 11, 24)


@pytest.mark.parametrize("value", [object(), {"x": {1j}}, "x" * (16 * 1024 * 1024 + 1)])
def test_values_refuse_what_cannot_be_kept(value: object) -> None:
    """What has no stored form, or is too large, is refused with a reason."""
    with pytest.raises(NonRetriable, match=r"value"):
        values.encode(value)


def test_values_decode_gives_copies() -> None:
    """Two reads of one value do not share it."""
    data = values.encode({"a": [1]})
    first, second = values.decode(data), values.decode(data)

    first["a"].append(2)

    assert second == {"a": [1]}


def test_values_take_what_numpy_computed() -> None:
    """Numbers and arrays of numpy are kept as plain ones, in state and in events."""
    computed = {"mean": np.float64(1.5), "counts": np.array([1, 2]), "any": [np.bool_(True)]}
    plain = {"mean": 1.5, "counts": [1, 2], "any": [True]}

    kept, emitted = values.decode(values.encode(computed)), as_plain(computed)

    assert (kept, emitted) == (plain, plain)
    assert type(kept["mean"]) is type(emitted["mean"]) is float
