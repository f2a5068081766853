"""Reserve stock for an order, give it back, use it up. Pure: products in, changed products out.

`reserved` never exceeds `stock`, so stock is never below zero, whatever runs at the same time:
each change is one transaction over the products that it touches.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from modules.commerce.errors import OutOfStock
from modules.commerce.products import Product, free


class Needed(Protocol):
    """So many of a product."""

    @property
    def product_id(self) -> str:
        """Which product."""
        ...

    @property
    def quantity(self) -> int:
        """How many pieces."""
        ...


Shelf = Mapping[str, Product | None]


def needs(items: Iterable[Needed]) -> dict[str, int]:
    """Return how much of each product is needed; lines of different options add up."""
    needed: dict[str, int] = {}
    for item in items:
        needed[item.product_id] = needed.get(item.product_id, 0) + item.quantity
    return needed


def reserve(shelf: Shelf, needed: Mapping[str, int]) -> dict[str, Product]:
    """Return the products with what is needed reserved, all or none.

    Raises:
        OutOfStock: of one of them too little is free, or there is no such product.
    """
    reserved: dict[str, Product] = {}
    for product_id, quantity in needed.items():
        product = shelf.get(product_id)
        if product is None:
            raise OutOfStock(product_id)
        left = free(product)
        if left is not None and left < quantity:
            raise OutOfStock(product_id)
        reserved[product_id] = _change(product, reserved=quantity)
    return reserved


def release(shelf: Shelf, needed: Mapping[str, int]) -> dict[str, Product]:
    """Return the products with a reservation given back; one that is gone is passed over."""
    return {
        product_id: _change(product, reserved=-quantity)
        for product_id, quantity in needed.items()
        if (product := shelf.get(product_id)) is not None
    }


def use(shelf: Shelf, needed: Mapping[str, int]) -> dict[str, Product]:
    """Return the products with a reservation taken off the shelf; one that is gone is passed."""
    return {
        product_id: _change(product, reserved=-quantity, stock=-quantity)
        for product_id, quantity in needed.items()
        if (product := shelf.get(product_id)) is not None
    }


def _change(product: Product, *, reserved: int, stock: int = 0) -> Product:
    """Change the counts; none ends below 0, also when a stocktaking lowered them meanwhile."""
    if product.stock is None:
        return product
    return msgspec.structs.replace(
        product,
        stock=max(0, product.stock + stock),
        reserved=max(0, product.reserved + reserved),
    )
