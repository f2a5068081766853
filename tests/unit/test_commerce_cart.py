"""The arithmetic of a cart."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.commerce.cart import MAX_LINES, Cart, Piece, add, reprice
from modules.commerce.errors import CartRefused
from modules.commerce.products import Product

EMPTY = Cart(created_at="2026-01-01T00:00:00+00:00")
CUP = Product(price=10, currency="EUR", in_stock=True)

pieces = st.builds(
    Piece,
    product_id=st.sampled_from(["cup", "pot"]),
    quantity=st.integers(1, 9),
    options=st.dictionaries(
        st.sampled_from(["a", "b"]), st.sampled_from([1, 1.0, True, "1", "true"]), max_size=2
    ),
)


@given(st.lists(pieces, max_size=20), st.integers(0, 10**9))
def test_commerce_cart_totals_are_those_of_its_pieces(put: list[Piece], price: int) -> None:
    """Whatever is put in, in whatever order: no piece is lost, and each costs today's price."""
    product = msgspec.structs.replace(CUP, price=price)
    cart = EMPTY

    for piece in put:
        cart = add(cart, piece, product, now="now")

    assert cart.item_count == sum(piece.quantity for piece in put)
    assert cart.subtotal == price * cart.item_count


@given(st.lists(pieces, max_size=20), st.randoms())
def test_commerce_cart_lines_do_not_depend_on_the_order(put: list[Piece], rng: object) -> None:
    """The same pieces give the same lines, in whatever order they come."""
    shuffled = list(put)
    rng.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis' Random

    one, other = EMPTY, EMPTY
    for piece in put:
        one = add(one, piece, CUP, now="now")
    for piece in shuffled:
        other = add(other, piece, CUP, now="now")

    assert sorted(map(repr, one.items)) == sorted(map(repr, other.items))


def test_commerce_cart_number_of_lines_is_bounded() -> None:
    """One line more than a cart holds is refused, a piece more on a line of it is not."""
    cart = EMPTY
    for number in range(MAX_LINES):
        cart = add(cart, Piece("cup", 1, {"n": number}), CUP, now="now")

    with pytest.raises(CartRefused, match="holds 100 lines"):
        add(cart, Piece("cup", 1, {"n": -1}), CUP, now="now")
    fuller = add(cart, Piece("cup", 1, {"n": 7}), CUP, now="now")

    assert (len(fuller.items), fuller.item_count) == (MAX_LINES, MAX_LINES + 1)


def test_commerce_cart_that_lost_all_its_lines_takes_another_currency() -> None:
    """When the only product is gone the cart is an empty one again."""
    cart = add(EMPTY, Piece("cup", 1), CUP, now="now")

    emptied, notices = reprice(cart, {"cup": None})
    dollars = add(emptied, Piece("mug", 1), msgspec.structs.replace(CUP, currency="USD"), now="now")

    assert [notice.kind for notice in notices] == ["removed"]
    assert (dollars.currency, dollars.subtotal) == ("USD", 10)
