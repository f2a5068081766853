"""The records of who met which product: weights, order, bounds."""

from modules.commerce.interactions import (
    CANDIDATES,
    MAX_PRODUCTS,
    MAX_USERS,
    MAX_WEIGHT,
    ItemRecord,
    UserRecord,
    candidates,
    recent,
    with_item,
    with_user,
)


def test_commerce_interactions_a_purchase_weighs_three_views() -> None:
    """Weights add up; what was bought is remembered as such, once."""
    record = UserRecord()
    for action in ("view", "purchase", "view", "purchase"):
        record = with_user(record, "cup", action)

    assert record == UserRecord({"cup": 8}, ("cup",))


def test_commerce_interactions_records_are_bounded() -> None:
    """The product met first gives way, and the user who came longest ago; weights end too."""
    user, item = UserRecord(), ItemRecord()
    for number in range(MAX_PRODUCTS + 1):
        user = with_user(user, f"p{number}", "purchase")
    for number in range(MAX_USERS + 1):
        item = with_item(item, f"u{number}", 1)
    for _ in range(MAX_WEIGHT):
        user = with_user(user, "p7", "purchase")

    assert (len(user.weights), len(item.weights)) == (MAX_PRODUCTS, MAX_USERS)
    assert "p0" not in user.weights
    assert "p0" in user.bought
    assert "u0" not in item.weights
    assert (user.weights["p7"], recent(user)[-1]) == (MAX_WEIGHT, "p7")


def test_commerce_interactions_candidates_are_bounded_and_never_oneself() -> None:
    """Those who share most are looked at, the same ones each time."""
    mine = UserRecord({"cup": 1})
    weights = {f"u{number:03}": 1 for number in range(MAX_USERS)} | {"me": 9, "z": 2}

    found = candidates("me", mine, {"cup": ItemRecord(weights)})

    assert len(found) == CANDIDATES
    assert found[:3] == ["z", "u000", "u001"]
