"""What handlers compute and check with, brought to plain data: Structs, models, numpy. Pure."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

_KEPT_TYPES = (bytes, bytearray, datetime, date, Decimal)


def as_plain(data: Any) -> Any:
    """Turn Structs and models in an event's data into plain dicts; Decimal and datetime stay."""
    return msgspec.to_builtins(data, builtin_types=_KEPT_TYPES, enc_hook=as_plain_value)


def is_model_instance(value: object) -> bool:
    """Tell whether a value is an instance of a pydantic model, or of what behaves like one."""
    return hasattr(type(value), "model_dump")


def as_plain_value(value: Any) -> Any:
    """Turn what numpy computed (numbers, arrays) into plain numbers and lists, a model into a dict.

    Handlers compute with numpy, check with pydantic, and keep what comes of it; neither is needed
    for this.

    Raises:
        TypeError: it is something else.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if is_model_instance(value):
        return value.model_dump()
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")
