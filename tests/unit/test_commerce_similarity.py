"""Cosine similarity and what it recommends, compared with scikit-learn's on random matrices."""

from math import isclose
from random import Random
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics.pairwise import cosine_similarity

from modules.commerce.similarity import cosine, neighbours, recommend

matrices = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 9)
)


def _vectors(matrix: np.ndarray) -> dict[str, dict[str, int]]:
    """Return the rows as sparse vectors, as the shop keeps them."""
    return {
        f"u{row}": {f"p{column}": int(weight) for column, weight in enumerate(line) if weight}
        for row, line in enumerate(matrix)
    }


def _shuffled(mapping: dict[str, Any], rng: Any) -> list[tuple[str, Any]]:
    items = list(mapping.items())
    rng.shuffle(items)
    return items


@given(matrices)
def test_commerce_similarity_equals_scikit_learn(matrix: np.ndarray) -> None:
    """Every pair of users is as alike as scikit-learn says."""
    vectors = _vectors(matrix)
    expected = cosine_similarity(matrix)

    for row, mine in enumerate(vectors.values()):
        for column, other in enumerate(vectors.values()):
            assert isclose(cosine(mine, other), expected[row, column], abs_tol=1e-12)


@given(matrices)
def test_commerce_neighbours_are_the_five_most_alike(matrix: np.ndarray) -> None:
    """Ranked as by scikit-learn, ties by id; without oneself and without strangers."""
    vectors = _vectors(matrix)
    alike = cosine_similarity(matrix)[0]
    ranked = sorted((-round(alike[row], 9), f"u{row}") for row in range(1, len(matrix)))
    expected = [user for similarity, user in ranked if similarity < 0][:5]

    mine = vectors.pop("u0")
    found = neighbours(mine, vectors)

    assert [neighbour.user_id for neighbour in found] == expected
    assert all(0 < neighbour.similarity <= 1 + 1e-12 for neighbour in found)


@given(matrices)
def test_commerce_recommendations_equal_the_full_matrix(matrix: np.ndarray) -> None:
    """The scores are the sums of similarity x weight that a full matrix gives."""
    vectors = _vectors(matrix)
    alike = cosine_similarity(matrix)[0]
    mine = vectors.pop("u0")
    rows = [int(neighbour.user_id[1:]) for neighbour in neighbours(mine, vectors)]
    scores = sum((alike[row] * matrix[row] for row in rows), np.zeros(matrix.shape[1]))
    expected = {
        f"p{column}": score
        for column, score in enumerate(scores)
        if score > 0 and matrix[0, column] == 0
    }

    found = recommend(mine, vectors, limit=99)

    assert {scored.product_id for scored in found} == set(expected)
    assert all(isclose(s.score, expected[s.product_id], abs_tol=1e-9) for s in found)
    assert found == sorted(found, key=lambda scored: (-scored.score, scored.product_id))


@given(matrices, st.randoms())
def test_commerce_recommendations_do_not_depend_on_the_order(
    matrix: np.ndarray,
    rng: Random,
) -> None:
    """Whoever or whatever came first, the same is recommended: ties are broken by id."""
    vectors = _vectors(matrix)
    mine = vectors.pop("u0")
    shuffled = {user: dict(_shuffled(vector, rng)) for user, vector in _shuffled(vectors, rng)}

    assert recommend(mine, shuffled, limit=5) == recommend(mine, vectors, limit=5)


def test_commerce_neighbours_of_equal_similarity_are_ranked_by_id() -> None:
    """3/√18 and 1/√2 are the same number, though not to a float."""
    others = {"b": {"x": 3, "y": 3}, "a": {"x": 1, "z": 1}, "c": {"x": 7, "w": 7}}

    found = [neighbour.user_id for neighbour in neighbours({"x": 1}, others)]

    assert found == ["a", "b", "c"]


def test_commerce_neighbours_share_something() -> None:
    """Who has nothing in common is no neighbour, even when there is no other."""
    assert neighbours({"x": 1}, {"a": {"y": 5}, "b": {}}) == []


def test_commerce_recommendations_leave_out_what_is_known() -> None:
    """What was bought long ago is not recommended again."""
    found = recommend({"x": 1}, {"a": {"x": 1, "y": 1, "z": 1}}, limit=9, known=frozenset({"y"}))

    assert [scored.product_id for scored in found] == ["z"]


def test_commerce_recommendations_of_equal_score_are_ranked_by_id() -> None:
    """What a neighbour likes as much comes in the order of the ids, not in his."""
    found = recommend({"x": 1}, {"ann": {"x": 1, "b": 2, "a": 2, "c": 3}}, limit=9)

    assert [scored.product_id for scored in found] == ["c", "a", "b"]
