"""The shop as a process: `tidegate start --steps modules/commerce/steps`."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.commerce import STEPS, order, product
from tests.support.instances import eventually, started, tidegate
from tests.support.localstripe import KEY, Localstripe
from tests.support.ports import unused_port
from tests.support.steps import until, write_steps
from tests.support.stripe_gate import open_gate

pytestmark = pytest.mark.anyio

BACK_OFFICE = {
    "put_step": """
    config = {"type": "api", "name": "Put", "method": "PUT", "path": "/put/:group/:key"}
    async def handler(req, ctx):
        group, key = req.path_params["group"], req.path_params["key"]
        await ctx.state.set(group, key, req.body)
        if group == "orders":
            await ctx.emit("order.placed", {"orderId": key})
    """,
    "ask_step": """
    config = {"type": "api", "name": "Ask", "method": "GET", "path": "/ask/:orderId"}
    async def handler(req, ctx):
        return (200, await ctx.state.get("orders", req.path_params["orderId"]))
    """,
}


class _Shop:
    """A running shop with a back office of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = unused_port()
        self._back_office = write_steps(folder / "back_office", BACK_OFFICE)

    def run(self) -> Any:
        """Start it; it runs while the context is open."""
        return started(self.folder, STEPS, self.port, "--steps", str(self._back_office))

    def put(self, group: str, key: str, value: object) -> None:
        """Set a record; an order is placed, too."""
        url = f"http://127.0.0.1:{self.port}/put/{group}/{key}"
        httpx.put(url, json=value, timeout=10).raise_for_status()

    def status(self, order_id: str) -> str:
        """Return an order's status."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/ask/{order_id}", timeout=10)
        return str(answer.json()["status"])


def test_commerce_start_needs_to_know_where_payments_go(tmp_path: Path) -> None:
    """Without the setting the start is refused, and says what to set."""
    done = tidegate("start", "--steps", STEPS, "--data", tmp_path / "data", "--port", unused_port())

    assert done.returncode == 2
    assert "set TIDEGATE_COMMERCE_PAYMENTS to 'stripe'" in done.stderr


def test_commerce_start_sells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cart is filled and an order confirmed in a process of its own."""
    monkeypatch.setenv("TIDEGATE_COMMERCE_PAYMENTS", "memory")
    shop = _Shop(tmp_path)
    with shop.run():
        shop.put("products", "cup", product())
        url = f"http://127.0.0.1:{shop.port}/cart/add"

        cart = httpx.post(url, json={"productId": "cup", "quantity": 2}, timeout=10)
        shop.put("orders", "o1", order())

        eventually(lambda: shop.status("o1") == "confirmed")
        assert (cart.status_code, cart.json()["subtotal"]) == (200, 2000)


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_commerce_start_killed_while_charging_charges_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, localstripe: Localstripe
) -> None:
    """`kill -9` when Stripe has the money and the shop no answer: the next process takes none."""
    order_id = uuid4().hex
    shop = _Shop(tmp_path)
    monkeypatch.setenv("TIDEGATE_COMMERCE_PAYMENTS", "stripe")
    monkeypatch.setenv("TIDEGATE_COMMERCE_STRIPE_KEY", KEY)
    async with open_gate(localstripe) as gate:
        monkeypatch.setenv("TIDEGATE_COMMERCE_STRIPE_URL", gate.url)
        gate.fail_next("/confirm", "hang")
        with shop.run() as process:
            shop.put("products", "cup", product())
            shop.put("orders", order_id, order())
            await until(lambda: localstripe.charges(order_id) == [2000], timeout_s=30)
            assert shop.status(order_id) == "charging"
            process.kill()
        with shop.run():
            await until(lambda: shop.status(order_id) == "confirmed", timeout_s=90)

    assert localstripe.charges(order_id) == [2000]
