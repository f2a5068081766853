"""Payments through Stripe: a payment is a PaymentIntent, opened unconfirmed, then confirmed.

Retries are the runtime's: the package makes none of its own.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import stripe

from modules.commerce.errors import PaymentAway, PaymentRefused
from modules.commerce.money import Money
from modules.commerce.payments.port import Charged, GivenBack, PaymentOrder
from modules.commerce.payments.stripe_http import StripeHttp

TIMEOUT_S = 10.0
# What a customer may know of a decline; Stripe asks not to tell a stolen card from another.
_TOLD = frozenset(
    {"insufficient_funds", "expired_card", "incorrect_cvc", "authentication_required"}
)
# Currencies whose smallest unit is another one for Stripe than for ISO 4217.
_TWO_MORE_DIGITS = frozenset({"ISK", "UGX"})
_LAST_DIGIT_ZERO = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


@asynccontextmanager
async def open_stripe(
    api_key: str, *, url: str | None = None, timeout_s: float = TIMEOUT_S
) -> AsyncIterator["StripePayments"]:
    """Yield the adapter. `url` is where Stripe is, if not at its own address."""
    http = StripeHttp(timeout_s=timeout_s)
    client = stripe.StripeClient(
        api_key,
        base_addresses={"api": url or stripe.DEFAULT_API_BASE},
        http_client=http,
        max_network_retries=0,
    )
    try:
        yield StripePayments(client)
    finally:
        await http.close_async()


class StripePayments:
    """See `payments.port.Payments`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    async def open(self, order: PaymentOrder) -> str:
        """Make a PaymentIntent that waits for its confirmation."""
        with _translated():
            intent = await self._intents.create_async(
                {
                    "amount": minor_units(order.total),
                    "currency": order.total.currency.lower(),
                    "payment_method": order.method,
                    "allowed_payment_method_types": ["card"],
                    "metadata": {"order_id": order.order_id},
                },
                {"idempotency_key": order.key},
            )
        return intent.id

    async def charge(self, payment_id: str) -> Charged:
        """Confirm the PaymentIntent unless it is confirmed already.

        Without an idempotency key: Stripe repeats the answer to a key for a day, also a 500. An
        intent is charged at most once anyway, and what an earlier try achieved is looked up.
        """
        try:
            with _translated():
                return await self._charge(payment_id)
        except PaymentRefused as exc:
            return Charged("declined", exc.reason)

    async def give_back(self, payment_id: str, *, key: str) -> GivenBack:
        """Refund a PaymentIntent that was paid; cancel one that was not."""
        with _translated():
            intent = await self._intents.retrieve_async(payment_id)
            if intent.status == "succeeded":
                await self._refund(payment_id, key)
                return "refunded"
            if intent.status == "processing":
                raise PaymentAway(f"payment {payment_id} is under way")
            if intent.status != "canceled":
                await self._intents.cancel_async(payment_id)
        return "void"

    async def _charge(self, payment_id: str) -> Charged:
        intent = await self._intents.retrieve_async(payment_id)
        if intent.status == "requires_confirmation":
            intent = await self._confirmed(payment_id)
        if intent.status == "requires_action":
            await self._intents.cancel_async(payment_id)
            return Charged("declined", "authentication_required")
        return _outcome(intent)

    async def _confirmed(self, payment_id: str) -> stripe.PaymentIntent:
        """Confirm; when somebody else did meanwhile, the intent's state says how that ended."""
        try:
            return await self._intents.confirm_async(payment_id)
        except stripe.InvalidRequestError:
            intent = await self._intents.retrieve_async(payment_id)
            if intent.status == "requires_confirmation":
                raise
            return intent

    async def _refund(self, payment_id: str, key: str) -> None:
        """Refund all of it, unless that was done: a key is forgotten after a day."""
        done = await self._refunds.list_async({"payment_intent": payment_id, "limit": 1})
        if not done.data:
            await self._refunds.create_async(
                {"payment_intent": payment_id}, {"idempotency_key": key}
            )


def minor_units(money: Money) -> int:
    """Return an amount as Stripe counts it.

    Raises:
        PaymentRefused: Stripe cannot charge it exactly.
    """
    if money.currency in _LAST_DIGIT_ZERO and money.amount % 10:
        raise PaymentRefused(
            "payment_not_possible", f"{money.amount} {money.currency}: the last digit must be 0"
        )
    return money.amount * 100 if money.currency in _TWO_MORE_DIGITS else money.amount


def _outcome(intent: stripe.PaymentIntent) -> Charged:
    if intent.status == "succeeded":
        return Charged("paid")
    if intent.status == "requires_payment_method":
        error = intent.last_payment_error
        return Charged("declined", _reason(error.code if error else None, error))
    if intent.status == "canceled":
        return Charged("declined", "payment_not_possible")
    raise PaymentAway(f"payment {intent.id} is {intent.status}")


def _reason(code: str | None, error: object) -> str:
    declined = getattr(error, "decline_code", None)
    told = [name for name in (declined, code) if name in _TOLD]
    return told[0] if told else "card_declined"


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the package's errors into the port's; the messages hold no secret and no card."""
    try:
        yield
    except stripe.InvalidRequestError as exc:
        # What changed under our hands is looked at again.
        if exc.code == "payment_intent_unexpected_state":
            raise PaymentAway("the payment changed meanwhile") from exc
        raise PaymentRefused(
            "payment_not_possible", f"refused: {exc.code or exc.http_status}"
        ) from exc
    except stripe.CardError as exc:
        raise PaymentRefused(_reason(exc.code, exc.error), f"declined: {exc.code}") from exc
    except stripe.RateLimitError as exc:
        raise PaymentAway("too many requests", retry_after_s=_retry_after_s(exc)) from exc
    except stripe.StripeError as exc:
        what = type(exc).__name__
        raise PaymentAway(f"{what} (status {exc.http_status})") from exc


def _retry_after_s(exc: stripe.StripeError) -> float | None:
    told = str((exc.headers or {}).get("retry-after", ""))
    return float(told) if told.isdigit() else None
