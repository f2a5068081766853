"""Who looked at what and bought what: a record for each user and each product, bounded. Pure.

What one event costs, at most: the user's record and the product's are written; read are the
records of the 30 products that the user met last and of the 50 users who share most with him.
It does not grow with the shop.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

GROUP = "ml_data"
RECOMMENDATIONS = "recommendations"
WEIGHTS = {"view": 1, "purchase": 3}
MIN_PRODUCTS = 3
MAX_WEIGHT = 1000
MAX_PRODUCTS = 200
MAX_BOUGHT = 1000
MAX_USERS = 200
RECENT_PRODUCTS = 30
CANDIDATES = 50
KEPT = 50
TOLD = 10

Action = Literal["view", "purchase"]


class UserRecord(msgspec.Struct, frozen=True):
    """`user:{id}`: weights by product, those met last at the end; and what was bought."""

    weights: dict[str, int] = {}
    bought: tuple[str, ...] = ()


class ItemRecord(msgspec.Struct, frozen=True):
    """`item:{id}`: weights by user, those who met the product last at the end."""

    weights: dict[str, int] = {}


def with_user(record: UserRecord, product_id: str, action: Action) -> UserRecord:
    """Return a user's record with one interaction more; the product met first gives way."""
    bought = record.bought
    if action == "purchase" and product_id not in bought:
        bought = (*bought, product_id)[-MAX_BOUGHT:]
    return UserRecord(_heavier(record.weights, product_id, action, MAX_PRODUCTS), bought)


def with_item(record: ItemRecord, user_id: str, weight: int) -> ItemRecord:
    """Return a product's record with a user's weight; who met it longest ago gives way."""
    return ItemRecord(_moved(record.weights, user_id, weight, MAX_USERS))


def recent(record: UserRecord) -> list[str]:
    """Return the products that a user met last, whose records say who is like him."""
    return list(record.weights)[-RECENT_PRODUCTS:]


def candidates(user_id: str, mine: UserRecord, items: Mapping[str, ItemRecord]) -> list[str]:
    """Return the users who share most with this one, himself excepted; ties by id."""
    shared: dict[str, int] = {}
    for product_id, item in items.items():
        for other, weight in item.weights.items():
            if other != user_id:
                part = mine.weights[product_id] * weight
                shared[other] = shared.get(other, 0) + part
    return _best(shared.items())


def _best(shared: Iterable[tuple[str, int]]) -> list[str]:
    ranked = sorted(shared, key=lambda entry: (-entry[1], entry[0]))
    return [user_id for user_id, _ in ranked[:CANDIDATES]]


def _heavier(weights: Mapping[str, int], key: str, action: Action, most: int) -> dict[str, int]:
    weight = min(MAX_WEIGHT, weights.get(key, 0) + WEIGHTS[action])
    return _moved(weights, key, weight, most)


def _moved(weights: Mapping[str, int], key: str, weight: int, most: int) -> dict[str, int]:
    """Set a weight and put it last; beyond `most` the first ones are dropped."""
    rest = [entry for entry in weights.items() if entry[0] != key]
    return dict([*rest, (key, weight)][-most:])
