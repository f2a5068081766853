"""The data types of Sparkplug B, and how the value fields of a metric hold them. Pure."""

from enum import IntEnum
from typing import Literal

from wire.errors import Malformed

Kind = Literal["int", "long", "float", "double", "boolean", "string"]


class DataType(IntEnum):
    """The data types of metrics that hold one value each."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15


_SIGNED = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_UNSIGNED = {
    DataType.UINT8: 8,
    DataType.UINT16: 16,
    DataType.UINT32: 32,
    DataType.UINT64: 64,
    DataType.DATETIME: 64,
}
_TEXTS = (DataType.STRING, DataType.TEXT, DataType.UUID)
FIELD_BITS = {"int": 32, "long": 64}


def kinds_of(datatype: int) -> tuple[Kind, ...]:
    """Return the value fields that senders use for a data type.

    Which of the two for integers depends on the sender; so does a Float that comes as double.
    """
    if datatype in _SIGNED or datatype in _UNSIGNED:
        return ("int", "long")
    if datatype in (DataType.FLOAT, DataType.DOUBLE):
        return ("float", "double")
    if datatype == DataType.BOOLEAN:
        return ("boolean",)
    return ("string",) if datatype in _TEXTS else ()


def encoded_integer(number: int, datatype: DataType) -> tuple[Kind, int]:
    """Return the value field for a number, and what stands there: two's complement when signed."""
    bits = _SIGNED.get(datatype) or _UNSIGNED[datatype]
    return "int" if bits <= FIELD_BITS["int"] else "long", number % (1 << bits)


def integer_of(raw: int, datatype: int, *, field: str) -> int:
    """Return the number that a value field without sign stands for.

    Negative ones are two's complements, of the type's own width or of the field's: senders do
    either.

    Raises:
        Malformed: the data type has no such number.
    """
    unsigned = _UNSIGNED.get(DataType(datatype))
    if unsigned is not None:
        if raw >= 1 << unsigned:
            raise Malformed(f"does not fit its data type {datatype}")
        return raw
    bits = _SIGNED[DataType(datatype)]
    half = 1 << (bits - 1)
    if raw < 1 << bits:
        return raw - (1 << bits) if raw >= half else raw
    if raw >= (1 << FIELD_BITS[field]) - half:
        return raw - (1 << FIELD_BITS[field])
    raise Malformed(f"does not fit its data type {datatype}")
