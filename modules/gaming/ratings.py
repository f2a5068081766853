"""Skill ratings: Elo, for teams and for everybody against everybody; brackets. Pure."""

from collections.abc import Mapping, Sequence

FIRST_RATING = 1000.0
LOWEST_RATING = 0.0
_K = 32.0
_BRACKETS = ((900.0, "bronze"), (1200.0, "silver"), (1500.0, "gold"), (1800.0, "platinum"))


def get_skill_bracket(rating: float) -> str:
    """Return the name of the bracket that a rating is in."""
    return next((name for below, name in _BRACKETS if rating < below), "diamond")


def rating_of(stats: object) -> float:
    """Return the rating in a player's `player_stats`, the first one for a new player."""
    rating = stats.get("rating") if isinstance(stats, dict) else None
    known = isinstance(rating, (int, float)) and not isinstance(rating, bool)
    return float(rating) if known and rating is not None else FIRST_RATING


def expected_score(own: float, other: float) -> float:
    """Return Elo's expectation, the chance of winning: 1 / (1 + 10^((other - own)/400))."""
    return float(1.0 / (1.0 + 10.0 ** ((other - own) / 400.0)))


def rated(
    teams: Sequence[Sequence[str]], ratings: Mapping[str, float], winner: int | None
) -> dict[str, float]:
    """Return the players' new ratings after a game; `winner` None is a draw.

    Each team has its mean rating. The winner beats each other team; those draw with each other.
    The gain is divided by the number of opponents, so that a large lobby weighs no more.
    """
    means = [sum(ratings[p] for p in team) / len(team) for team in teams]
    changed: dict[str, float] = {}
    for index, team in enumerate(teams):
        others = [other for other in range(len(teams)) if other != index]
        gains = [
            _score(index, other, winner) - expected_score(means[index], means[other])
            for other in others
        ]
        gain = _K * sum(gains) / max(1, len(gains))
        changed.update({p: max(LOWEST_RATING, ratings[p] + gain) for p in team})
    return changed


def _score(own: int, other: int, winner: int | None) -> float:
    if winner == own:
        return 1.0
    return 0.0 if winner == other else 0.5
