"""A product as `products` keeps it, and how much of it is free. Pure."""

import msgspec

from modules.commerce.money import Amount, Currency

GROUP = "products"


class Product(msgspec.Struct, frozen=True, rename="camel"):
    """What the shop needs of a product; its record may say more, which stays as it is.

    `price` is in minor units. `stock` is what lies on the shelf, `reserved` what of it belongs
    to orders under way. Without `stock` nobody counts (a download): `inStock` alone decides.
    """

    price: Amount
    currency: Currency
    name: str = ""
    in_stock: bool = False
    stock: Amount | None = None
    reserved: Amount = 0


def free(product: Product) -> int | None:
    """Return how many pieces nobody has a claim on; None when they are not counted."""
    if not product.in_stock:
        return 0
    return None if product.stock is None else max(0, product.stock - product.reserved)
