"""Records of the state as types, and back without losing what a type does not know."""

from typing import TypeVar

import msgspec

from modules.commerce.products import GROUP as PRODUCTS
from modules.commerce.products import Product
from tidegate.contract import Context, State

T = TypeVar("T", bound=msgspec.Struct)


async def load(state: State, group: str, key: str, kind: type[T]) -> T | None:
    """Return a record, None when there is none.

    Raises:
        msgspec.ValidationError: it is none of that kind (a price that is no integer).
    """
    raw = await state.get(group, key)
    return None if raw is None else msgspec.convert(raw, kind)


async def save(state: State, group: str, key: str, value: msgspec.Struct) -> None:
    """Set a record; fields that its type does not know stay as they are."""
    raw = await state.get(group, key)
    known = raw if isinstance(raw, dict) else {}
    await state.set(group, key, {**known, **msgspec.to_builtins(value)})


async def load_product(ctx: Context, product_id: str) -> Product | None:
    """Return a product, None when there is none; one that cannot be read is logged, and none."""
    try:
        return await load(ctx.state, PRODUCTS, product_id, Product)
    except msgspec.ValidationError as exc:
        ctx.logger.warning("product.unreadable", product=product_id, reason=str(exc))
        return None
