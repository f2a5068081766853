"""Cursors: the place where a page of a device's points begins, as a text. Pure."""

import base64
import binascii
from typing import Annotated, NamedTuple

import msgspec

from cloud.timeseries.port import Place
from wire.errors import Malformed
from wire.ids import DeviceKey, MetricName, SeriesKey

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Cursor(NamedTuple):
    metric: MetricName
    ts_ms: _Int64
    order: _Int64


def encode_cursor(place: Place) -> str:
    """Return a place as a text for a query string; whose it is the query says."""
    cursor = _Cursor(place.key.metric, place.ts_ms, place.order)
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def decode_cursor(cursor: str, device: DeviceKey) -> Place:
    """Return the place in a device's points that a cursor stands for; raise `Malformed`."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Cursor)
    except (ValueError, binascii.Error, msgspec.MsgspecError) as exc:
        raise Malformed("cursor is not one of ours") from exc
    return Place(SeriesKey(*device, found.metric), found.ts_ms, found.order)
