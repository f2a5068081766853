"""The cart over HTTP, with real state: sessions, stock, prices, bounds."""

from typing import Any

import pytest

from tests.support.commerce import product, put, shop
from tidegate.testing import Harness

pytestmark = pytest.mark.anyio

_MONTH_S = 30 * 24 * 3600
WRONG: list[dict[str, Any]] = [
    {},
    {"productId": "cup"},
    {"quantity": 1},
    {"productId": "", "quantity": 1},
    {"productId": "c\x00p", "quantity": 1},
    {"productId": "cup", "quantity": 0},
    {"productId": "cup", "quantity": 1000},
    {"productId": "cup", "quantity": 1.5},
    {"productId": "cup", "quantity": "2"},
    {"productId": "cup", "quantity": True},
    {"productId": "cup", "quantity": 1, "price": 1},
    {"productId": "cup", "quantity": 1, "options": {"a": {"b": 1}}},
    {"productId": "cup", "quantity": 1, "options": {"a": "x" * 257}},
    {"productId": "cup", "quantity": 1, "options": {str(n): n for n in range(21)}},
]


async def _add(h: Harness, session: str = "", **body: Any) -> Any:
    """Add to the cart of a session; the client's own cookies stay out of it."""
    h.client.cookies.clear()
    headers = {"Cookie": f"sessionId={session}"} if session else {}
    wanted = {"productId": "cup", "quantity": 1, **body}
    return await h.client.post("/cart/add", json=wanted, headers=headers)


def _session(answer: Any) -> str:
    name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
    assert name == "sessionId"
    return str(value)


async def test_commerce_cart_takes_a_product() -> None:
    """The first addition makes a cart, keeps it, and tells who listens."""
    async with shop() as h:
        await put(h, "products", "cup", product(price=1999))

        answer = await _add(h, quantity=3)
        session = _session(answer)
        kept = await h.state("carts", f"cart:{session}")

        assert answer.status_code == 200
        assert (kept["subtotal"], kept["itemCount"], kept["currency"]) == (5997, 3, "EUR")
        assert answer.json() == {**kept, "notices": []}
        assert h.capture("cart.updated") == [
            {"sessionId": session, "cart": kept, "action": "add", "productId": "cup"}
        ]
        [track] = h.capture("analytics.track")
        assert session not in str(track)


async def test_commerce_cart_money_is_exact() -> None:
    """Ten times 10 cents and three times 20 are 160: no float is involved."""
    async with shop() as h:
        await put(h, "products", "cup", product(price=10, stock=99))
        await put(h, "products", "pot", product(price=20))

        session = _session(await _add(h, quantity=10))
        answer = await _add(h, session, productId="pot", quantity=3)

        assert answer.json()["subtotal"] == 160
        assert isinstance(answer.json()["subtotal"], int)


async def test_commerce_cart_refuses_a_price_that_is_no_integer() -> None:
    """A product priced in floats is not sold, rather than sold at a rounded price."""
    async with shop() as h:
        await put(h, "products", "cup", product() | {"price": 19.99})

        answer = await _add(h)

        assert answer.status_code == 404


async def test_commerce_cart_lines_differ_by_options() -> None:
    """Red and blue are two lines; the order of the options and 1 or 1.0 are no difference."""
    async with shop() as h:
        await put(h, "products", "cup", product(stock=99))

        session = _session(await _add(h, options={"size": 1, "color": "red"}))
        await _add(h, session, options={"color": "red", "size": 1.0})
        await _add(h, session, options={"color": "blue", "size": 1})
        answer = await _add(h, session, options={"color": "red", "size": True})

        assert [line["quantity"] for line in answer.json()["items"]] == [2, 1, 1]


async def test_commerce_cart_no_options_are_empty_options() -> None:
    """Left out or empty: the same line."""
    async with shop() as h:
        await put(h, "products", "cup", product())

        session = _session(await _add(h))
        answer = await _add(h, session, options={})

        assert [line["quantity"] for line in answer.json()["items"]] == [2]


async def test_commerce_cart_sells_no_more_than_is_free() -> None:
    """What others reserved and what the cart holds already count, whatever the options."""
    async with shop() as h:
        await put(h, "products", "cup", product(stock=5, reserved=2))

        session = _session(await _add(h, quantity=2, options={"color": "red"}))
        refused = await _add(h, session, quantity=2, options={"color": "blue"})
        answer = await _add(h, session, quantity=1, options={"color": "blue"})

        assert refused.status_code == 409
        assert refused.json()["detail"] == "only 3 in stock, and your cart holds 2 already"
        assert answer.json()["itemCount"] == 3


@pytest.mark.parametrize(("record", "status"), [(None, 404), (product() | {"inStock": False}, 409)])
async def test_commerce_cart_says_why_a_product_is_not_to_be_had(
    record: dict[str, Any] | None, status: int
) -> None:
    """No such product is 404, one that is not sold 409, each as a problem with its reason."""
    async with shop() as h:
        if record is not None:
            await put(h, "products", "cup", record)

        answer = await _add(h)

        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert "'cup'" in answer.json()["detail"]
        assert h.capture("cart.updated") == []


@pytest.mark.parametrize("claimed", ["x", "A" * 43, "victim:*", "../carts"])
async def test_commerce_cart_replaces_a_session_that_it_did_not_issue(claimed: str) -> None:
    """Nobody can choose a session's id and wait for a victim to fill its cart."""
    async with shop() as h:
        await put(h, "products", "cup", product())

        answer = await _add(h, claimed)

        assert _session(answer) != claimed
        assert await h.state("carts", f"cart:{claimed}") is None


async def test_commerce_cart_knows_the_session_that_it_issued() -> None:
    """A second addition with the cookie that was given goes into the same cart."""
    async with shop() as h:
        await put(h, "products", "cup", product())

        session = _session(await _add(h))
        answer = await _add(h, session)

        assert _session(answer) == session
        assert answer.json()["itemCount"] == 2


async def test_commerce_cart_that_cannot_be_read_is_replaced() -> None:
    """A cart of another version ends no shopper's shopping: a fresh one begins."""
    async with shop() as h:
        await put(h, "products", "cup", product())
        await put(h, "carts", f"cart:{'A' * 43}", {"items": "none"})

        answer = await _add(h, "A" * 43)

        assert (answer.status_code, answer.json()["itemCount"]) == (200, 1)
        assert _session(answer) != "A" * 43


async def test_commerce_cart_cookie_is_guarded() -> None:
    """No script reads it, no plain connection carries it, no other site sends it."""
    async with shop() as h:
        await put(h, "products", "cup", product())

        answer = await _add(h)
        _, *attributes = answer.headers["set-cookie"].split("; ")

        assert set(attributes) == {
            "Path=/", f"Max-Age={_MONTH_S}", "HttpOnly", "Secure", "SameSite=Lax"
        }  # fmt: skip


async def test_commerce_cart_lapses_thirty_days_after_its_last_change() -> None:
    """Each change renews the thirty days; after them the id is nobody's."""
    async with shop() as h:
        await put(h, "products", "cup", product())
        session = _session(await _add(h))

        await h.tick(_MONTH_S - 1)
        await _add(h, session)
        await h.tick(_MONTH_S - 1)
        there = await h.state("carts", f"cart:{session}")
        await h.tick(1)
        gone = await h.state("carts", f"cart:{session}")

        assert (there["itemCount"], gone) == (2, None)
        assert _session(await _add(h, session)) != session


async def test_commerce_cart_is_repriced_at_each_change_and_says_so() -> None:
    """A cart never keeps yesterday's price; what changed, ran short or vanished is told."""
    async with shop() as h:
        await put(h, "products", "cup", product(price=1000))
        await put(h, "products", "pot", product(price=500))
        await put(h, "products", "jar", product(price=700))
        session = _session(await _add(h, quantity=2))
        await _add(h, session, productId="pot", quantity=4)
        await _add(h, session, productId="jar")

        await put(h, "products", "cup", product(price=1200))
        await put(h, "products", "pot", product(price=500, stock=3))
        await put(h, "products", "jar", None)
        answer = (await _add(h, session)).json()

        assert answer["notices"] == [
            {"kind": "price", "productId": "cup", "was": 1000, "now": 1200},
            {"kind": "removed", "productId": "jar", "was": 1, "now": 0},
            {"kind": "stock", "productId": "pot", "was": 4, "now": 3},
        ]
        assert [line["price"] for line in answer["items"]] == [1200, 500]
        assert answer["subtotal"] == 3 * 1200 + 4 * 500


async def test_commerce_cart_has_one_currency() -> None:
    """Euros and dollars are not added up."""
    async with shop() as h:
        await put(h, "products", "cup", product())
        await put(h, "products", "mug", product() | {"currency": "USD"})

        session = _session(await _add(h))
        answer = await _add(h, session, productId="mug")

        assert answer.status_code == 409
        assert answer.json()["detail"] == "the cart is in EUR, the product in USD"


async def test_commerce_cart_refuses_a_wrong_body() -> None:
    """A body that lacks something or goes beyond a bound is 422, and nothing is kept."""
    async with shop() as h:
        await put(h, "products", "cup", product(stock=None))
        await put(h, "products", "c\x00p", product(stock=None))

        answers = {str(body): await h.client.post("/cart/add", json=body) for body in WRONG}

        assert {body: answer.status_code for body, answer in answers.items()} == dict.fromkeys(
            answers, 422
        )
        assert h.capture("cart.updated") == []


async def test_commerce_cart_line_is_bounded() -> None:
    """A line that is full refuses one piece more."""
    async with shop() as h:
        await put(h, "products", "cup", product(stock=None))

        session = _session(await _add(h, quantity=999))
        answer = await _add(h, session)

        assert answer.status_code == 409
        assert "999" in answer.json()["detail"]
