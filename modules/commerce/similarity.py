"""Who has a taste like whose, and what that recommends: cosine similarity. Pure.

A user is a vector of weights by product. Weights are whole numbers, so products and sums are
exact, and equal similarities are equal: ties are broken by id, always in the same way.
"""

from collections.abc import Mapping
from fractions import Fraction
from math import sqrt
from typing import NamedTuple

Vector = Mapping[str, int]

NEIGHBOURS = 5
_DIGITS = 12


class Neighbour(NamedTuple):
    """Another user and how alike the two are: above 0, at most 1."""

    user_id: str
    similarity: float


class Scored(NamedTuple):
    """A product and the sum over the neighbours of similarity x weight."""

    product_id: str
    score: float


def cosine(left: Vector, right: Vector) -> float:
    """Return the cosine of the angle between two users: a·b / (|a| |b|), 0 for an empty one.

    Cost: the number of products of both.

    Example:
        >>> cosine({"tea": 1}, {"tea": 3, "cup": 4})
        0.6
    """
    dot = _dot(left, right)
    return dot / sqrt(_square(left) * _square(right)) if dot else 0.0


def neighbours(
    mine: Vector, others: Mapping[str, Vector], limit: int = NEIGHBOURS
) -> list[Neighbour]:
    """Return the users most like this one, most alike first; who shares nothing is none.

    `others` are without the user. They are ranked by dot² / |b|², an exact fraction that is
    ordered as the cosine is: rounding decides no tie.
    """
    ranked = []
    for user_id, other in others.items():
        dot = _dot(mine, other)
        if dot > 0:
            ranked.append((-Fraction(dot * dot, _square(other)), user_id))
    return [Neighbour(user, cosine(mine, others[user])) for _, user in sorted(ranked)[:limit]]


def recommend(
    mine: Vector, others: Mapping[str, Vector], *, limit: int, known: frozenset[str] = frozenset()
) -> list[Scored]:
    """Return what the user's neighbours like and the user does not know yet, best first.

    Args:
        mine: the user's weights; these products are not recommended.
        others: the weights of other users.
        limit: how many products at most.
        known: further products that are not recommended.
    """
    scores: dict[str, float] = {}
    for neighbour in neighbours(mine, others):
        for product_id, weight in others[neighbour.user_id].items():
            if product_id not in mine and product_id not in known:
                part = neighbour.similarity * weight
                scores[product_id] = scores.get(product_id, 0.0) + part
    rounded = [Scored(product_id, round(score, _DIGITS)) for product_id, score in scores.items()]
    return sorted(rounded, key=lambda scored: (-scored.score, scored.product_id))[:limit]


def _dot(left: Vector, right: Vector) -> int:
    if len(right) < len(left):
        left, right = right, left
    return sum(weight * right.get(product_id, 0) for product_id, weight in left.items())


def _square(vector: Vector) -> int:
    return sum(weight * weight for weight in vector.values())
