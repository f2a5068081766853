"""A shop for tests: its steps in a harness, with products, orders and payments to fail."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modules.commerce.errors import PaymentAway
from modules.commerce.fraud import FraudRules
from modules.commerce.payments.memory import MemoryPayments
from modules.commerce.payments.port import Charged, GivenBack, PaymentOrder, Payments
from tidegate.contract import Context
from tidegate.testing import Harness

STEPS = Path(__file__).resolve().parents[2] / "modules" / "commerce" / "steps"
CARD = "pm_card_visa"
DECLINED_CARD = "pm_card_chargeCustomerFail"


def shop(payments: Payments | None = None, rules: FraudRules | None = None) -> Harness:
    """Return the shop's steps on a virtual clock."""
    resources = {
        "payments": payments or MemoryPayments(),
        "fraud_rules": rules or FraudRules(),
    }
    return Harness(STEPS, resources=resources)


def product(price: int = 1000, stock: int | None = 10, **fields: Any) -> dict[str, Any]:
    """Return a product's record."""
    return {"price": price, "currency": "EUR", "inStock": True, "stock": stock, **fields}


def order(total: int = 2000, quantity: int = 2, **fields: Any) -> dict[str, Any]:
    """Return an order's record: some cups of 1000 cents."""
    return {
        "customerId": "c1",
        "items": [{"productId": "cup", "quantity": quantity, "price": 1000}],
        "total": total,
        "currency": "EUR",
        "paymentMethod": CARD,
        "status": "placed",
        **fields,
    }


async def put(h: Harness, group: str, key: str, value: Any) -> None:
    """Set a value of the state, as another step would."""

    async def write(ctx: Context) -> None:
        await ctx.state.set(group, key, value)

    await h.engine.transact(write)


async def place(h: Harness, order_id: str, record: dict[str, Any]) -> None:
    """Place an order: its record and its event."""
    await put(h, "orders", order_id, record)
    await h.emit("order.placed", {"orderId": order_id})


async def counts(h: Harness, product_id: str = "cup") -> tuple[int, int]:
    """Return a product's (stock, reserved)."""
    record = await h.state("products", product_id)
    return record["stock"], record.get("reserved", 0)


class FailingPayments:
    """Memory payments that fail: by the call's name, how often.

    `away`: nothing is done. `lost`: it is done, but the answer gets lost. `during` is called once,
    when it is done and before anybody knows.
    """

    def __init__(self) -> None:
        self.memory = MemoryPayments()
        self.away: dict[str, int] = {}
        self.lost: dict[str, int] = {}
        self.during: dict[str, Callable[[], Any]] = {}
        self.keys: list[str] = []
        self.calls: Counter[str] = Counter()

    async def open(self, order: PaymentOrder) -> str:
        """Open."""
        self.keys.append(order.key)
        self._may_be_away("open")
        payment_id = await self.memory.open(order)
        await self._interrupt("open")
        self._may_be_lost("open")
        return payment_id

    async def charge(self, payment_id: str) -> Charged:
        """Charge."""
        self._may_be_away("charge")
        charged = await self.memory.charge(payment_id)
        await self._interrupt("charge")
        self._may_be_lost("charge")
        return charged

    async def give_back(self, payment_id: str, *, key: str) -> GivenBack:
        """Give back."""
        self._may_be_away("give_back")
        went = await self.memory.give_back(payment_id, key=key)
        self._may_be_lost("give_back")
        return went

    def _may_be_away(self, call: str) -> None:
        self.calls[call] += 1
        if self.away.get(call, 0):
            self.away[call] -= 1
            raise PaymentAway(f"{call}: no answer")

    async def _interrupt(self, call: str) -> None:
        if call in self.during:
            await self.during.pop(call)()

    def _may_be_lost(self, call: str) -> None:
        if self.lost.get(call, 0):
            self.lost[call] -= 1
            raise PaymentAway(f"{call}: the answer got lost")


ALL_RETRIES_S = 3600.0


async def order_status(h: Harness, order_id: str = "o1") -> str:
    """Return how far an order is."""
    return str((await h.state("orders", order_id))["status"])
