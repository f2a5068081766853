"""A cart: lines of a product and its options, at today's price, within bounds. Pure."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from modules.commerce.errors import CartRefused
from modules.commerce.money import subtotal
from modules.commerce.products import Product, free

GROUP = "carts"
TTL_S = 30 * 24 * 3600
MAX_LINES = 100
MAX_QUANTITY = 999

Option = str | int | bool


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """So many pieces of a product with the same options, at `price` minor units each."""

    product_id: str
    quantity: Annotated[int, msgspec.Meta(ge=1, le=MAX_QUANTITY)]
    price: int
    added_at: str
    options: dict[str, Option] = {}


class Cart(msgspec.Struct, frozen=True, rename="camel"):
    """A shopper's cart; the amounts are minor units of its one currency."""

    created_at: str
    items: tuple[Line, ...] = ()
    currency: str = ""
    subtotal: int = 0
    item_count: int = 0


class Notice(msgspec.Struct, frozen=True, rename="camel"):
    """Something that changed under the shopper's hands since the cart was last shown.

    `price`: a line costs `now` instead of `was`. `stock`: of `was` pieces only `now` are free.
    `removed`: the product is not sold any more.
    """

    kind: Literal["price", "stock", "removed"]
    product_id: str
    was: int
    now: int


class Piece(msgspec.Struct, frozen=True):
    """What is to be put into a cart."""

    product_id: str
    quantity: int
    options: Mapping[str, Any] | None = None


def canonical(options: Mapping[str, Any] | None) -> dict[str, Option]:
    """Return options in their one form: ordered by name, whole numbers as integers."""
    return {name: _plain(value) for name, value in sorted((options or {}).items())}


def reprice(cart: Cart, products: Mapping[str, Product | None]) -> tuple[Cart, list[Notice]]:
    """Return the cart at today's prices, and what is to be told about it.

    Lines whose product is gone, or is sold in another currency now, are taken out.
    """
    lines: list[Line] = []
    notices: list[Notice] = []
    for line in cart.items:
        product = products.get(line.product_id)
        if product is None or product.currency != cart.currency:
            notices.append(Notice("removed", line.product_id, line.quantity, 0))
            continue
        if product.price != line.price:
            notices.append(Notice("price", line.product_id, line.price, product.price))
        lines.append(msgspec.structs.replace(line, price=product.price))
    repriced = _with(cart, lines, cart.currency)
    return repriced, [*notices, *_shortages(repriced, products)]


def add(cart: Cart, piece: Piece, product: Product, *, now: str) -> Cart:
    """Return the cart with some pieces more, on the line of the same product and options.

    Raises:
        CartRefused: too little is free, beside what the cart holds already; the cart or the line
            is full; the product is sold in another currency.
    """
    _refuse_other_currency(cart, product)
    _refuse_beyond_stock(cart, piece, product)
    options = canonical(piece.options)
    place = _find(cart, piece.product_id, options)
    lines = list(cart.items)
    if place is None:
        if len(lines) >= MAX_LINES:
            raise CartRefused(f"the cart is full: it holds {MAX_LINES} lines")
        lines.append(Line(piece.product_id, piece.quantity, product.price, now, options))
    else:
        quantity = lines[place].quantity + piece.quantity
        lines[place] = msgspec.structs.replace(lines[place], quantity=quantity)
    if max(line.quantity for line in lines) > MAX_QUANTITY:
        raise CartRefused(f"a line holds at most {MAX_QUANTITY} pieces")
    return _with(cart, lines, product.currency)


def held(cart: Cart, product_id: str) -> int:
    """Return how many pieces of a product the cart holds, whatever their options."""
    return sum(line.quantity for line in cart.items if line.product_id == product_id)


def _plain(value: Any) -> Any:
    """Turn 1.0 into 1: a client's JSON writes the same number in both ways."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _find(cart: Cart, product_id: str, options: Mapping[str, Option]) -> int | None:
    wanted = _text(options)
    for place, line in enumerate(cart.items):
        if line.product_id == product_id and _text(line.options) == wanted:
            return place
    return None


def _text(options: Mapping[str, Option]) -> str:
    """Compare as text: to Python `True == 1`, to a shopper they are two things."""
    return json.dumps(options, sort_keys=True, separators=(",", ":"))


def _refuse_other_currency(cart: Cart, product: Product) -> None:
    if cart.items and cart.currency != product.currency:
        raise CartRefused(f"the cart is in {cart.currency}, the product in {product.currency}")


def _refuse_beyond_stock(cart: Cart, piece: Piece, product: Product) -> None:
    left, mine = free(product), held(cart, piece.product_id)
    if left is not None and mine + piece.quantity > left:
        raise CartRefused(f"only {left} in stock, and your cart holds {mine} already")


def _shortages(cart: Cart, products: Mapping[str, Product | None]) -> list[Notice]:
    short: list[Notice] = []
    for product_id in dict.fromkeys(line.product_id for line in cart.items):
        product = products[product_id]
        left, mine = free(product) if product else 0, held(cart, product_id)
        if left is not None and left < mine:
            short.append(Notice("stock", product_id, mine, left))
    return short


def _with(cart: Cart, lines: list[Line], currency: str) -> Cart:
    return msgspec.structs.replace(
        cart,
        items=tuple(lines),
        currency=currency if lines else "",
        subtotal=subtotal(lines),
        item_count=sum(line.quantity for line in lines),
    )
