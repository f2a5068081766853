"""The grid: its size, its pillars, where tanks start, what can be seen from where. Pure."""

from collections.abc import Iterator
from random import Random

import msgspec

SIGHT = 3
SHOT_REACH = 6
_PILLAR_EVERY = 4
_PILLAR_AT = 2
# Sides are a multiple of four plus one, so that no pillar stands on the rim, where tanks start.
_SIDES = ((2, 9), (4, 13), (16, 17))


class Cell(msgspec.Struct, frozen=True):
    """A cell of the grid; (0, 0) is the north-west corner."""

    x: int
    y: int


def side_for(players: int) -> int:
    """Return the length of the grid's side for that many players.

    Raises:
        ValueError: nobody, or more players than the largest grid takes.
    """
    for most, side in _SIDES:
        if 0 < players <= most:
            return side
    raise ValueError(f"a game takes 1 to {_SIDES[-1][0]} players, not {players}")


def is_on_board(cell: Cell, side: int) -> bool:
    """Tell whether a cell is on a grid of that side."""
    return 0 <= cell.x < side and 0 <= cell.y < side


def is_pillar(cell: Cell) -> bool:
    """Tell whether a pillar stands on a cell; the pattern leaves every free cell reachable."""
    return cell.x % _PILLAR_EVERY == _PILLAR_AT and cell.y % _PILLAR_EVERY == _PILLAR_AT


def pillars(side: int) -> list[Cell]:
    """Return the cells with pillars, row by row."""
    cells = (Cell(x, y) for y in range(side) for x in range(side))
    return [cell for cell in cells if is_pillar(cell)]


def starts(players: int, rng: Random) -> list[Cell]:
    """Return where the players start: spread evenly around the rim, from a random cell of it."""
    rim = _rim(side_for(players))
    first = rng.randrange(len(rim))
    return [rim[(first + index * len(rim) // players) % len(rim)] for index in range(players)]


def distance(one: Cell, other: Cell) -> int:
    """Return how many moves of a king apart two cells are."""
    return max(abs(one.x - other.x), abs(one.y - other.y))


def can_see(eye: Cell, cell: Cell) -> bool:
    """Tell whether a tank sees a cell: near enough, and no pillar in between."""
    return distance(eye, cell) <= SIGHT and is_clear(eye, cell)


def is_clear(start: Cell, end: Cell) -> bool:
    """Tell whether no pillar stands between two cells."""
    return not any(is_pillar(cell) for cell in _between(start, end))


def _rim(side: int) -> list[Cell]:
    last = side - 1
    north = [Cell(x, 0) for x in range(last)]
    east = [Cell(last, y) for y in range(last)]
    south = [Cell(x, last) for x in range(last, 0, -1)]
    west = [Cell(0, y) for y in range(last, 0, -1)]
    return north + east + south + west


def _between(start: Cell, end: Cell) -> Iterator[Cell]:
    """Yield the cells of a straight line without its ends; the same in both directions."""
    first, last = sorted((start, end), key=lambda cell: (cell.x, cell.y))
    steps = distance(first, last)
    for step in range(1, steps):
        yield Cell(
            _rounded(first.x * (steps - step) + last.x * step, steps),
            _rounded(first.y * (steps - step) + last.y * step, steps),
        )


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
