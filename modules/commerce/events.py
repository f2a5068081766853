"""Events of the shop: topic → type of its data. Names on the wire are camelCase."""

from typing import Annotated, Any, Literal

import msgspec

from modules.commerce.fraud import Verdict

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]


class CartUpdated(msgspec.Struct, frozen=True, rename="camel"):
    """`cart.updated`: a shopper changed the cart; `sessionId` opens it, so keep it to yourself."""

    session_id: str
    cart: dict[str, Any]
    action: Literal["add"]
    product_id: str


class AnalyticsTrack(msgspec.Struct, frozen=True, rename="camel"):
    """`analytics.track`: something to count; `visitor` opens no cart. Amounts are minor units."""

    event: str
    visitor: str
    product_id: str
    quantity: int
    price: int
    currency: str


class OrderPlaced(msgspec.Struct, frozen=True, rename="camel"):
    """`order.placed`: an order is to be taken up; twice does no harm."""

    order_id: Id


class FraudCheck(msgspec.Struct, frozen=True, rename="camel"):
    """`fraud.check`: an order was checked, with this verdict. `amount` is minor units."""

    order_id: str
    customer_id: str
    amount: int
    currency: str
    verdict: Verdict
    reasons: tuple[str, ...]


class InventoryReserve(msgspec.Struct, frozen=True, rename="camel"):
    """`inventory.reserve`: pieces of products (`items`: how many by product) belong to an order."""

    order_id: str
    reservation_id: str
    items: dict[str, int]


class PaymentDue(msgspec.Struct, frozen=True, rename="camel"):
    """`payment.charge`, `payment.opened`, `payment.refund`: the next thing to do about a payment.

    What it is about stands in the order: an event that comes late, or twice, does no harm.
    """

    order_id: Id


class PaymentRefunded(msgspec.Struct, frozen=True, rename="camel"):
    """`payment.refunded`: the money of an order that is off went back. Minor units."""

    order_id: str
    amount: int
    currency: str


class OrderConfirmed(msgspec.Struct, frozen=True, rename="camel"):
    """`order.confirmed`: an order is paid, its stock off the shelf."""

    order_id: str
    customer_id: str


class OrderFailed(msgspec.Struct, frozen=True, rename="camel"):
    """`order.failed`: an order is off; `reason` is a code, `error` a text that may be shown."""

    order_id: str
    reason: str
    error: str
    customer_id: str | None = None


class UserInteraction(msgspec.Struct, frozen=True, rename="camel"):
    """`user.viewed.product`, `user.purchased.product`: a user looked at a product, or bought it."""

    user_id: Id
    product_id: Id
    action: Literal["view", "purchase"]


class Recommendation(msgspec.Struct, frozen=True, rename="camel"):
    """A product and how much is to be said for it."""

    product_id: str
    score: float


class RecommendationsUpdated(msgspec.Struct, frozen=True, rename="camel"):
    """`recommendations.updated`: a user's best ten, best first."""

    user_id: str
    recommendations: tuple[Recommendation, ...]
