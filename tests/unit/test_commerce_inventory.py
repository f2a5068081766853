"""Reserving, releasing and using stock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modules.commerce.errors import OutOfStock
from modules.commerce.inventory import needs, release, reserve, use
from modules.commerce.orders import Item
from modules.commerce.products import Product, free

NAMES = ("cup", "pot")
orders = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 4), min_size=1)


class Shelf(RuleBasedStateMachine):
    """Orders come, are paid or fail, in any order: the books always balance."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf = {name: Product(1, "EUR", in_stock=True, stock=9) for name in NAMES}
        self.held: list[dict[str, int]] = []
        self.sold = dict.fromkeys(NAMES, 0)

    @rule(needed=orders)
    def place(self, needed: dict[str, int]) -> None:
        """Reserve all of it when all of it is free, else nothing."""
        short = [name for name, n in needed.items() if n > (free(self.shelf[name]) or 0)]
        if short:
            with pytest.raises(OutOfStock):
                reserve(self.shelf, needed)
            return
        self.shelf |= reserve(self.shelf, needed)
        self.held.append(needed)

    @rule()
    def fail(self) -> None:
        """Give the oldest reservation back."""
        if self.held:
            self.shelf |= release(self.shelf, self.held.pop(0))

    @rule()
    def pay(self) -> None:
        """Use the oldest reservation up."""
        if self.held:
            needed = self.held.pop(0)
            self.shelf |= use(self.shelf, needed)
            for name, quantity in needed.items():
                self.sold[name] += quantity

    @invariant()
    def balances(self) -> None:
        """What is there and what was sold is what was there; what is reserved is held."""
        for name, product in self.shelf.items():
            held = sum(needed.get(name, 0) for needed in self.held)
            assert product.stock == 9 - self.sold[name]
            assert 0 <= product.reserved == held <= product.stock


TestShelf = Shelf.TestCase


def test_commerce_inventory_needs_add_up_over_lines() -> None:
    """Two lines of one product are one need."""
    assert needs([Item("cup", 2, 1), Item("pot", 1, 1), Item("cup", 3, 1)]) == {"cup": 5, "pot": 1}


def test_commerce_inventory_does_not_count_what_nobody_counts() -> None:
    """A product without a stock can always be had, unless it is not sold."""
    download = Product(1, "EUR", in_stock=True)

    reserved = reserve({"song": download}, {"song": 999})

    assert reserved == {"song": download}
    with pytest.raises(OutOfStock, match="'song'"):
        reserve({"song": Product(1, "EUR", in_stock=False)}, {"song": 1})


@given(st.integers(0, 5), st.integers(1, 9))
def test_commerce_inventory_never_below_zero_after_a_stocktaking(left: int, needed: int) -> None:
    """When less lies on the shelf than was reserved, counts end at 0."""
    counted = Product(1, "EUR", in_stock=True, stock=left, reserved=needed)

    used = use({"cup": counted}, {"cup": needed})["cup"]

    assert (used.stock, used.reserved) == (max(0, left - needed), 0)
    assert release({"cup": None}, {"cup": 1}) == {}
