"""How many events may begin: what is given back, and what it leaves."""

from tidegate.contract import RateLimit
from tidegate.engine.rate import allowance, begun, without

_LIMIT = RateLimit(limit=10, per=1.0)


def test_rate_gives_back_once_what_two_have_taken_at_one_time() -> None:
    """Two takers in one millisecond: what one of them gives back is not given back for both."""
    chunks = begun(_LIMIT, begun(_LIMIT, [], 5, 5), 5, 5)

    left = without(chunks, 5, 3)

    assert allowance(_LIMIT, left, 5).free == 3


def test_rate_gives_back_only_of_its_time() -> None:
    """What was begun at other times stays; an empty chunk goes."""
    assert without([[1, 4], [5, 2]], 5, 2) == [[1, 4]]
