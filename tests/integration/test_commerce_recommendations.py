"""Recommendations from events: records, exclusions, bounds, and the same result as a matrix."""

from random import Random

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from tests.support.commerce import shop
from tidegate.testing import Harness

pytestmark = pytest.mark.anyio

PURCHASED, VIEWED = "user.purchased.product", "user.viewed.product"


async def _meet(h: Harness, user: str, *products: str, action: str = "view") -> None:
    topic = PURCHASED if action == "purchase" else VIEWED
    for product in products:
        await h.emit(topic, {"userId": user, "productId": product, "action": action})


async def test_commerce_recommends_what_neighbours_like() -> None:
    """The user's neighbours' products, without his own; the best ten are told."""
    async with shop() as h:
        await _meet(h, "ann", "a", "b", "c", *(f"n{n:02}" for n in range(12)))
        await _meet(h, "ben", "a", "b")
        await h.drain()
        told = h.capture("recommendations.updated")
        before = len(told)

        await _meet(h, "ben", "c", action="purchase")
        await h.drain()
        kept = await h.state("recommendations", "ben")

        assert told[before]["userId"] == "ben"
        assert told[before]["recommendations"] == kept["products"][:10]
        assert [entry["productId"] for entry in kept["products"]] == [f"n{n:02}" for n in range(12)]
        assert kept["updatedAt"] == h.clock.now().isoformat()


async def test_commerce_recommends_from_three_products_on() -> None:
    """Two products, however often met, are too few."""
    async with shop() as h:
        await _meet(h, "ann", "a", "b", "x")
        await _meet(h, "ben", "a", "b", "a", "b")
        await h.drain()
        early = await h.state("recommendations", "ben")

        await _meet(h, "ben", "c")
        await h.drain()
        late = await h.state("recommendations", "ben")

        assert (early, [entry["productId"] for entry in late["products"]]) == (None, ["x"])


async def test_commerce_recommends_nothing_of_strangers() -> None:
    """Who shares no product is no neighbour; nor is the user himself."""
    async with shop() as h:
        await _meet(h, "ann", "x", "y", "z")
        await _meet(h, "ben", "a", "b", "c")
        await h.drain()

        assert (await h.state("recommendations", "ben"))["products"] == []


async def test_commerce_recommends_nothing_that_was_bought() -> None:
    """A purchase is remembered also when two hundred products were met since."""
    async with shop() as h:
        await _meet(h, "ben", "old", action="purchase")
        await _meet(h, "ben", *(f"p{n}" for n in range(200)))
        await _meet(h, "ann", "p199", "p198", "old", "new")
        await h.drain()
        await _meet(h, "ben", "p199")
        await h.drain()

        record = await h.state("ml_data", "user:ben")
        kept = await h.state("recommendations", "ben")

        assert "old" not in record["weights"]
        assert [entry["productId"] for entry in kept["products"]] == ["new"]


async def test_commerce_recommends_as_a_full_matrix_does() -> None:
    """After random events the last user's products are those that scikit-learn's matrix gives."""
    rng, users, products = Random(7), 12, 15
    matrix = np.zeros((users, products))
    async with shop() as h:
        for _ in range(150):
            user, product = rng.randrange(users), rng.randrange(products)
            action = rng.choice(["view", "purchase"])
            matrix[user, product] += 3 if action == "purchase" else 1
            await _meet(h, f"u{user:02}", f"p{product:02}", action=action)
        await _meet(h, "u00", "p00")
        matrix[0, 0] += 1
        await h.drain()

        kept = (await h.state("recommendations", "u00"))["products"]

    alike = cosine_similarity(matrix)[0]
    ranked = sorted(range(1, users), key=lambda row: (-round(alike[row], 9), row))
    scores = sum((alike[row] * matrix[row] for row in ranked[:5]), np.zeros(products))
    expected = {f"p{n:02}": scores[n] for n in range(products) if scores[n] and not matrix[0, n]}
    assert {entry["productId"]: entry["score"] for entry in kept} == pytest.approx(expected)
    assert expected


async def test_commerce_recommendations_keep_a_record_for_each() -> None:
    """No key holds the whole shop: a user and a product have a record each."""
    async with shop() as h:
        await _meet(h, "ann", "a", action="purchase")
        await _meet(h, "ann", "b")
        await h.drain()

        assert await h.state("ml_data", "interactions") is None
        assert (await h.state("ml_data", "user:ann"))["weights"] == {"a": 3, "b": 1}
        assert (await h.state("ml_data", "item:a"))["weights"] == {"ann": 3}


async def test_commerce_recommendations_refuse_an_unknown_action() -> None:
    """A payload that does not fit is dead, and counts for nothing."""
    async with shop() as h:
        await h.emit(VIEWED, {"userId": "ann", "productId": "a", "action": "stare"})
        await h.emit(VIEWED, {"userId": "ann", "productId": "a"})
        await h.drain()

        assert len(await h.dead()) == 2
        assert await h.state("ml_data", "user:ann") is None
