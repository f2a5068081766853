"""What a birth says of its metrics, and the readings that payloads are with that knowledge. Pure.

A metric is one reading. Its index counts the payload's metrics that have a value, so it is the
same with any birth.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from wire.codecs.sparkplug import Metric, Payload, value_of
from wire.errors import Malformed
from wire.ids import metric_name
from wire.messages import Decoded, Reading, Refusal

BD_SEQ = "bdSeq"
_BITS = 64
_SHOWN_CHARS = 60

_Row = tuple[str, int | None, int | None]


class UnknownMetric(Malformed):
    """The metric can be read once a birth has named it."""


class Birth:
    """The metrics of one birth: their data types by name, their names by alias."""

    __slots__ = ("_aliases", "_types")

    def __init__(self, rows: Iterable[_Row]) -> None:
        self._types: dict[str, int | None] = {}
        self._aliases: dict[int, str] = {}
        for name, alias, datatype in rows:
            self._types[name] = datatype
            if alias is not None:
                self._aliases[alias] = name

    def __len__(self) -> int:
        """Return the number of metrics."""
        return len(self._types)

    @classmethod
    def of(cls, payload: Payload) -> "Birth":
        """Return what a birth's payload says."""
        return cls(
            (metric.name, metric.alias, metric.datatype)
            for metric in payload.metrics
            if metric.name is not None and metric.name != BD_SEQ
        )

    def identified(self, metric: Metric) -> tuple[str, int | None]:
        """Return a metric's name and data type (None: nobody tells it).

        Raises:
            UnknownMetric: it has only an alias that is not in this birth, or its type is not.
        """
        name = metric.name
        if name is None and metric.alias is not None:
            name = self._aliases.get(metric.alias)
            if name is None:
                raise UnknownMetric(f"alias {metric.alias} is in no birth that is known")
        if name is None:
            raise Malformed("has neither name nor alias")
        datatype = self._types.get(name) if metric.datatype is None else metric.datatype
        if datatype is None and metric.kind in ("int", "long"):
            raise UnknownMetric("its data type is told neither by itself nor by a known birth")
        return name, datatype

    def encode(self) -> str:
        """Return the birth as text, for `decode`."""
        alias_of = {name: alias for alias, name in self._aliases.items()}
        rows = [(name, alias_of.get(name), kind) for name, kind in self._types.items()]
        return msgspec.json.encode(rows).decode()

    @classmethod
    def decode(cls, text: str) -> "Birth":
        """Return the birth that `encode` made a text of."""
        return cls(msgspec.json.decode(text, type=list[_Row]))


UNBORN = Birth(())


class Read(NamedTuple):
    """A payload's readings; `left_out` of its metrics were not to be stored (null, transient).

    `has_unknown`: a birth is missing to read all of them.
    """

    decoded: Decoded
    left_out: int
    has_unknown: bool


def read(payload: Payload, birth: Birth) -> Read:
    """Return the readings of a payload, and why the others of its metrics are none."""
    readings: list[Reading] = []
    refused: list[Refusal] = []
    left_out, has_unknown, index = 0, False, -1
    for metric in payload.metrics:
        if metric.name == BD_SEQ:
            continue
        if metric.is_null or metric.is_transient:
            left_out += 1
            continue
        index += 1
        try:
            readings.append(_reading(metric, birth, payload.ts_ms))
        except Malformed as exc:
            has_unknown = has_unknown or isinstance(exc, UnknownMetric)
            refused.append(Refusal(index, f"metric {_shown(metric)}: {exc}"))
    return Read(Decoded(readings, refused), left_out, has_unknown)


def bd_seq_of(payload: Payload) -> int | None:
    """Return the number of a node's session, None when the payload does not tell it."""
    for metric in payload.metrics:
        if metric.name == BD_SEQ and type(metric.raw) is int:
            # Compared only, and kept where integers have a sign.
            return metric.raw - (1 << _BITS) if metric.raw >> (_BITS - 1) else metric.raw
    return None


def _reading(metric: Metric, birth: Birth, payload_ms: int | None) -> Reading:
    if metric.fault is not None:
        raise Malformed(metric.fault)
    name, datatype = birth.identified(metric)
    ts_ms = payload_ms if metric.ts_ms is None else metric.ts_ms
    return Reading({metric_name(name): value_of(metric, datatype)}, ts_ms)


def _shown(metric: Metric) -> str:
    if metric.name is not None:
        return repr(metric.name[:_SHOWN_CHARS])
    return "without a name" if metric.alias is None else f"of alias {metric.alias}"
