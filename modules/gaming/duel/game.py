"""What a running game is made of, and what a player may ask of it. Pure."""

from collections.abc import Sequence
from random import Random
from typing import Annotated, Literal

import msgspec

from modules.gaming.duel import board
from modules.gaming.duel.board import Cell

HEALTH = 3
SHELLS = 12
MINES = 2

Coordinate = Annotated[int, msgspec.Meta(ge=0, le=255)]
Direction = Literal["north", "east", "south", "west"]
Kind = Literal["moved", "shot", "hit", "laid", "exploded", "destroyed", "surrendered", "idled"]
End = Literal["won", "drawn"]


class Move(msgspec.Struct, frozen=True, tag_field="type", tag="move", forbid_unknown_fields=True):
    """Drive to the next cell."""

    direction: Direction


class Shoot(msgspec.Struct, frozen=True, tag_field="type", tag="shoot", forbid_unknown_fields=True):
    """Fire a shell at a cell, seen or not, up to six away and with no pillar in between."""

    x: Coordinate
    y: Coordinate


class Lay(msgspec.Struct, frozen=True, tag_field="type", tag="lay", forbid_unknown_fields=True):
    """Lay a mine where the tank stands; it goes off under the next tank that drives onto it."""


class Wait(msgspec.Struct, frozen=True, tag_field="type", tag="wait", forbid_unknown_fields=True):
    """Do nothing this turn."""


class Surrender(
    msgspec.Struct, frozen=True, tag_field="type", tag="surrender", forbid_unknown_fields=True
):
    """Leave the game; the only action that needs no turn."""


Action = Move | Shoot | Lay | Wait | Surrender


class Tank(msgspec.Struct, frozen=True):
    """One player's tank. `missed` counts turns that were let pass one after the other."""

    player: str
    team: int
    at: Cell
    health: int = HEALTH
    shells: int = SHELLS
    mines: int = MINES
    missed: int = 0

    @property
    def is_alive(self) -> bool:
        """Tell whether it still plays."""
        return self.health > 0


class Mine(msgspec.Struct, frozen=True):
    """A mine; only the team that laid it knows where it is."""

    team: int
    at: Cell


class Happening(msgspec.Struct, frozen=True):
    """Something that the last action did at a cell; `player` is whose doing or whose loss."""

    kind: Kind
    player: str
    at: Cell


class Game(msgspec.Struct, frozen=True):
    """A game. `turn` is the index of the tank whose turn it is; `began_at` of the turn, Unix ms.

    `version` counts every change, `inputs` the accepted inputs of players.
    """

    side: int
    tanks: tuple[Tank, ...]
    turn: int
    began_at: int
    mines: tuple[Mine, ...] = ()
    version: int = 0
    inputs: int = 0
    turns: int = 0
    last: tuple[Happening, ...] = ()
    end: End | None = None
    winner: int | None = None

    def tank_of(self, player: str) -> Tank:
        """Return a player's tank; raise KeyError for a stranger."""
        for tank in self.tanks:
            if tank.player == player:
                return tank
        raise KeyError(player)

    def tank_at(self, cell: Cell) -> Tank | None:
        """Return the living tank on a cell."""
        return next((t for t in self.tanks if t.is_alive and t.at == cell), None)


def new_game(teams: Sequence[Sequence[str]], rng: Random, *, now_ms: int) -> Game:
    """Return a game for some teams of players; who begins is drawn by lot."""
    # Team mates alternate with opponents, so that no team moves twice in a row.
    rounds = max(len(team) for team in teams)
    order = [
        (number, team[index])
        for index in range(rounds)
        for number, team in enumerate(teams)
        if index < len(team)
    ]
    cells = board.starts(len(order), rng)
    tanks = tuple(
        Tank(player, number, cell) for (number, player), cell in zip(order, cells, strict=True)
    )
    side = board.side_for(len(tanks))
    return Game(side=side, tanks=tanks, turn=rng.randrange(len(tanks)), began_at=now_ms)
