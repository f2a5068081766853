"""The game modes: how many teams of how many players, and how long a lobby waits to be full."""

from collections.abc import Mapping
from typing import Literal

import msgspec

GameMode = Literal["1v1", "2v2", "battle-royale"]


class Mode(msgspec.Struct, frozen=True):
    """Sizes of a match. After `patience_s` a lobby starts with fewer than `most_teams`."""

    team_size: int
    least_teams: int
    most_teams: int
    patience_s: float = 0.0

    @property
    def most_players(self) -> int:
        """Return the size of a full lobby."""
        return self.team_size * self.most_teams

    @property
    def least_players(self) -> int:
        """Return the smallest lobby that may start."""
        return self.team_size * self.least_teams


MODES: Mapping[str, Mode] = {
    "1v1": Mode(team_size=1, least_teams=2, most_teams=2),
    "2v2": Mode(team_size=2, least_teams=2, most_teams=2),
    "battle-royale": Mode(team_size=1, least_teams=4, most_teams=16, patience_s=30.0),
}
