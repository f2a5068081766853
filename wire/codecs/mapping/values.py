"""How single values of a mapped payload are taken: numbers, booleans, words, texts, times. Pure."""

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any

from wire.codecs.checks import moment_of, ms_of_seconds, unix_ms
from wire.codecs.mapping.file import MappingFile, Metric, Time, zone_of
from wire.errors import Malformed

# Returns None for what it does not take.
Take = Callable[[Any], float | bool | str | None]
_Words = Mapping[str, bool]
_MS_PER_S = 1_000
# 2001-01-01: a device that says an earlier time has not set its clock since it started.
_CLOCKS_ARE_SET_MS = 978_307_200_000


def words_of(file: MappingFile, metric: Metric) -> dict[str, bool]:
    """Return what words mean; those of the rule come before those of the file.

    Raises:
        Malformed: a word means both.
    """
    true = file.true if metric.true is None else metric.true
    false = file.false if metric.false is None else metric.false
    both = sorted(set(true) & set(false))
    if both:
        raise Malformed(f"{both[0]!r} is both true and false")
    return {**dict.fromkeys(true, True), **dict.fromkeys(false, False)}


def taker(metric: Metric, words: _Words) -> Take:
    """Return how a rule takes values."""
    if metric.kind == "boolean":
        return _boolean(words)
    if metric.kind == "text":
        return _text
    scale = 1.0 if metric.scale is None else metric.scale
    return _number(scale) if metric.kind == "number" else _natural(words, scale)


def _natural(words: _Words, scale: float) -> Take:
    def take(value: Any) -> float | bool | None:
        kind = type(value)
        if kind is float or kind is int:
            return _float_of(value) * scale
        return value if kind is bool else words.get(value)

    return take


def _number(scale: float) -> Take:
    def take(value: Any) -> float | None:
        kind = type(value)
        if kind is float or kind is int:
            return _float_of(value) * scale
        if kind is not str or "_" in value:
            return None
        try:
            return float(value) * scale
        except ValueError:
            return None

    return take


def _boolean(words: _Words) -> Take:
    def take(value: Any) -> bool | None:
        if type(value) is bool:
            return value
        if type(value) is str:
            return words.get(value)
        return bool(value) if value in (0, 1) else None

    return take


def _text(value: Any) -> str | None:
    """Take a text; an empty one says that there is nothing to say."""
    return value if type(value) is str and value else None


def _float_of(value: float) -> float:
    try:
        return float(value)
    except OverflowError as exc:
        raise Malformed("a number is out of range") from exc


class Clock:
    """Reads the time of a payload."""

    def __init__(self, time: Time, *, source: str) -> None:
        self._is_ms = time.unit == "ms"
        self._zone = None if time.zone is None else zone_of(time.zone, source=source)
        self._takes_arrival = time.without_zone == "arrival"

    def ts_ms(self, value: Any) -> int | None:
        """Return Unix milliseconds, None when the arrival is to stand for it.

        So it is for a local time of an unknown zone, and for a clock that was never set.

        Raises:
            Malformed: it is no time, or one without a zone where the mapping wants one.
        """
        if isinstance(value, str):
            ts_ms = self._ms_of_text(value, self._zone)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise Malformed("time is neither a number nor a text")
        else:
            seconds = _float_of(value) / (_MS_PER_S if self._is_ms else 1)
            ts_ms = ms_of_seconds(seconds)
        return None if ts_ms is None or ts_ms < _CLOCKS_ARE_SET_MS else ts_ms

    def _ms_of_text(self, text: str, zone: tzinfo | None) -> int | None:
        moment = moment_of(text)
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        if moment.tzinfo is None and self._takes_arrival:
            return None
        return unix_ms(moment)
