"""Put a product into the shopper's cart."""

import secrets
from typing import Any

import msgspec

from modules.commerce import cart as carts
from modules.commerce.cart import Cart, Notice, Piece
from modules.commerce.errors import CartRefused
from modules.commerce.events import AnalyticsTrack, CartUpdated
from modules.commerce.products import Product
from modules.commerce.records import load, load_product
from modules.commerce.session import COOKIE, ID_BYTES, looks_issued, pseudonym, set_cookie
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request

_NAME = r"^[^\x00-\x1f\x7f]+$"

config = {
    "type": "api",
    "name": "AddToCart",
    "method": "POST",
    "path": "/cart/add",
    "bodySchema": {
        "type": "object",
        "properties": {
            "productId": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": _NAME},
            "quantity": {"type": "integer", "minimum": 1, "maximum": carts.MAX_QUANTITY},
            "options": {
                "type": "object",
                "maxProperties": 20,
                "propertyNames": {"maxLength": 64},
                "additionalProperties": {
                    "type": ["string", "integer", "boolean"],
                    "maxLength": 256,
                    "minimum": -(2**53),
                    "maximum": 2**53,
                },
            },
        },
        "required": ["productId", "quantity"],
        "additionalProperties": False,
    },
    "emits": ["cart.updated", "analytics.track"],
}


async def handler(req: Request, ctx: Context) -> dict[str, Any]:
    """Add pieces of a product to the cart of the cookie's session; prices are today's."""
    piece = Piece(req.body["productId"], int(req.body["quantity"]), req.body.get("options"))
    product = await _sold(ctx, piece.product_id)
    session_id, found = await _session(ctx, req.cookies.get(COOKIE))
    now = ctx.now().isoformat()
    repriced, notices = await _repriced(ctx, found or Cart(created_at=now))
    try:
        cart = carts.add(repriced, piece, product, now=now)
    except CartRefused as exc:
        raise HTTPError(409, str(exc)) from exc
    await ctx.state.set(carts.GROUP, _key(session_id), _plain(cart), ttl=carts.TTL_S)
    await _tell(ctx, session_id, cart, piece, product)
    return {
        "status": 200,
        "headers": {"Set-Cookie": set_cookie(session_id, max_age_s=carts.TTL_S)},
        "body": {**_plain(cart), "notices": _plain(notices)},
    }


async def _sold(ctx: Context, product_id: str) -> Product:
    product = await load_product(ctx, product_id)
    if product is None:
        raise HTTPError(404, f"there is no product '{product_id}'")
    if not product.in_stock:
        raise HTTPError(409, f"product '{product_id}' is not sold at present")
    return product


async def _session(ctx: Context, claimed: object) -> tuple[str, Cart | None]:
    """Return the session that the client claims if we issued it, else a fresh one."""
    if isinstance(claimed, str) and looks_issued(claimed):
        try:
            cart = await load(ctx.state, carts.GROUP, _key(claimed), Cart)
        except msgspec.ValidationError as exc:
            ctx.logger.warning("cart.unreadable", visitor=pseudonym(claimed), reason=str(exc))
            cart = None
        if cart is not None:
            return claimed, cart
    return secrets.token_urlsafe(ID_BYTES), None


async def _repriced(ctx: Context, cart: Cart) -> tuple[Cart, list[Notice]]:
    product_ids = {line.product_id for line in cart.items}
    products = {product_id: await load_product(ctx, product_id) for product_id in product_ids}
    return carts.reprice(cart, products)


async def _tell(ctx: Context, session_id: str, cart: Cart, piece: Piece, product: Product) -> None:
    updated = CartUpdated(session_id, _plain(cart), "add", piece.product_id)
    await ctx.emit("cart.updated", updated)
    track = AnalyticsTrack(
        event="cart.item_added",
        visitor=pseudonym(session_id),
        product_id=piece.product_id,
        quantity=piece.quantity,
        price=product.price,
        currency=product.currency,
    )
    await ctx.emit("analytics.track", track)


def _key(session_id: str) -> str:
    return f"cart:{session_id}"


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value)
