"""The duel: its rules, its end, and that a view never holds what its player cannot see."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from modules.gaming.duel import board, rules
from modules.gaming.duel.board import Cell
from modules.gaming.duel.game import (
    Action,
    Game,
    Lay,
    Mine,
    Move,
    Shoot,
    Surrender,
    Tank,
    Wait,
    new_game,
)
from modules.gaming.visibility import sees, view

ANN, BOB = "ann", "bob"
ACTIONS: list[Action] = [
    Move("north"),
    Move("east"),
    Move("south"),
    Move("west"),
    Lay(),
    Wait(),
    *(Shoot(x, y) for x in range(0, 17, 2) for y in range(0, 17, 2)),
]


def _game(ann: tuple[int, int], bob: tuple[int, int], **changes: Any) -> Game:
    """Return a duel in which it is ann's turn."""
    tanks = (Tank(ANN, 0, Cell(*ann)), Tank(BOB, 1, Cell(*bob)))
    return replace(Game(side=9, tanks=tanks, turn=0, began_at=0), **changes)


def _refusal(game: Game, player: str, action: Action) -> str:
    with pytest.raises(rules.Refused) as refused:
        rules.played(game, player, action, now_ms=1)
    return refused.value.code


def test_gaming_duel_is_played_to_a_win() -> None:
    """Three hits destroy a tank; the other team has won and no more is accepted."""
    game = _game((0, 0), (2, 0))
    for _ in range(2):
        game = rules.played(game, ANN, Shoot(2, 0), now_ms=1)
        game = rules.played(game, BOB, Wait(), now_ms=2)
    game = rules.played(game, ANN, Shoot(2, 0), now_ms=3)

    assert (game.end, game.winner, game.tank_of(BOB).health) == ("won", 0, 0)
    assert game.tank_of(ANN).shells == 9
    assert _refusal(game, BOB, Wait()) == "over"
    assert (game.inputs, game.turns) == (5, 5)


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (Move("north"), "bounds"),
        (Move("east"), "blocked"),
        (Shoot(9, 0), "bounds"),
        (Shoot(-1, 0), "bounds"),
        (Shoot(0, 7), "reach"),
        (Shoot(0, 0), "reach"),
        (Shoot(4, 4), "blocked"),
    ],
)
def test_gaming_duel_refuses_what_is_impossible(action: Action, code: str) -> None:
    """What leaves the grid, hits a tank, flies too far or through a pillar is refused."""
    game = _game((0, 0), (1, 0))

    assert _refusal(game, ANN, action) == code


def test_gaming_duel_refuses_out_of_turn_and_empty() -> None:
    """Who is not on turn only may surrender; without shells and mines nothing can be fired."""
    bare = replace(Tank(ANN, 0, Cell(0, 0)), shells=0, mines=0)
    game = _game((0, 0), (8, 8))
    game = replace(game, tanks=(bare, game.tanks[1]))

    assert _refusal(game, BOB, Wait()) == "turn"
    assert _refusal(game, ANN, Shoot(3, 0)) == "empty"
    assert _refusal(game, ANN, Lay()) == "empty"
    assert rules.played(game, BOB, Surrender(), now_ms=1).winner == 0


def test_gaming_duel_mine_goes_off_under_the_next() -> None:
    """A mine is laid under the own tank, costs who drives onto it a health, and is gone."""
    game = rules.played(_game((1, 0), (3, 0)), ANN, Lay(), now_ms=1)
    game = rules.played(game, BOB, Wait(), now_ms=1)
    game = rules.played(game, ANN, Move("west"), now_ms=1)
    game = rules.played(game, BOB, Move("west"), now_ms=1)
    game = rules.played(game, ANN, Wait(), now_ms=1)
    game = rules.played(game, BOB, Move("west"), now_ms=1)

    assert (game.tank_of(BOB).health, game.mines) == (2, ())


def test_gaming_duel_who_lets_three_turns_pass_is_out() -> None:
    """Turns that nobody takes pass; at the third in a row the game ends, an action forgives."""
    game = _game((0, 0), (8, 8))
    for _ in range(2):
        game = rules.skipped(game, now_ms=1)
        game = rules.played(game, BOB, Wait(), now_ms=1)
    forgiven = rules.played(game, ANN, Wait(), now_ms=1)
    out = rules.skipped(game, now_ms=1)

    assert forgiven.tank_of(ANN).missed == 0
    assert (out.end, out.winner) == ("won", 1)


def test_gaming_duel_ends_undecided_when_it_takes_too_long() -> None:
    """Sixty turns for each tank, then it is a draw."""
    game = _game((0, 0), (8, 8))
    while game.end is None:
        game = rules.played(game, game.tanks[game.turn].player, Wait(), now_ms=1)

    assert (game.end, game.winner, game.turns) == ("drawn", None, 120)


@pytest.mark.parametrize("players", [2, 4, 5, 16])
def test_gaming_duel_starts_are_apart_and_free(players: int) -> None:
    """Nobody starts on a pillar or on another, and few do in another's sight."""
    for seed in range(30):
        cells = board.starts(players, Random(seed))

        assert len(set(cells)) == players
        assert not any(board.is_pillar(cell) for cell in cells)
        pairs = [(a, b) for a in cells for b in cells if a != b]
        # Sixteen stand closer: a lobby that large begins with a fight.
        assert players == 16 or not any(board.can_see(a, b) for a, b in pairs)


@given(st.integers(0, 16), st.integers(0, 16), st.integers(0, 16), st.integers(0, 16))
def test_gaming_duel_sight_is_mutual(ax: int, ay: int, bx: int, by: int) -> None:
    """Who sees a cell is seen from it."""
    a, b = Cell(ax, ay), Cell(bx, by)

    assert board.can_see(a, b) == board.can_see(b, a)
    assert board.is_clear(a, b) == board.is_clear(b, a)


def _played_at_random(seed: int, teams: list[list[str]]) -> list[Game]:
    """Return every state of a game in which everybody does anything that is allowed."""
    rng = Random(seed)
    games = [new_game(teams, rng, now_ms=0)]
    while games[-1].end is None and len(games) < 150:
        game = games[-1]
        player = game.tanks[game.turn].player
        action = rng.choice(ACTIONS) if rng.random() < 0.98 else Surrender()
        try:
            games.append(rules.played(game, player, action, now_ms=len(games)))
        except rules.Refused:
            games.append(rules.skipped(game, now_ms=len(games)))
    return games


def _scrambled(game: Game, player: str, rng: Random) -> Game:
    """Return a game that differs in all that the player must not know."""
    own = game.tank_of(player)
    hidden = [Cell(x, y) for x in range(game.side) for y in range(game.side)]
    hidden = [cell for cell in hidden if not sees(game, player, cell)]
    tanks = []
    for tank in game.tanks:
        if tank.team == own.team:
            tanks.append(tank)
            continue
        changed = replace(
            tank, shells=rng.randrange(99), mines=rng.randrange(99), missed=rng.randrange(9)
        )
        if tank.is_alive and not sees(game, player, tank.at) and hidden:
            changed = replace(changed, at=rng.choice(hidden), health=rng.randrange(1, 99))
        if not tank.is_alive:
            changed = replace(changed, at=Cell(rng.randrange(9), rng.randrange(9)))
        tanks.append(changed)
    mines = tuple(mine for mine in game.mines if mine.team == own.team)
    cells = [Cell(rng.randrange(9), rng.randrange(9)) for _ in range(3)]
    # Under the own tank no other's mine can be: it would have gone off.
    foreign = tuple(Mine(own.team + 1, cell) for cell in cells if cell != own.at)
    return replace(game, tanks=tuple(tanks), mines=(*mines, *foreign))


@pytest.mark.parametrize("teams", [[[ANN], [BOB]], [[ANN, "amy"], [BOB, "ben"]]])
def test_gaming_view_depends_on_nothing_hidden(teams: list[list[str]]) -> None:
    """Change everything that a player must not know: his view stays the same to the letter."""
    for seed in range(8):
        rng = Random(seed)
        for game in _played_at_random(seed, teams):
            for player in (ANN, BOB):
                other = _scrambled(game, player, rng)

                assert view(other, player) == view(game, player)


def test_gaming_duel_refusals_depend_on_nothing_hidden() -> None:
    """Whether an action is allowed, and what is said if not, gives nothing hidden away."""

    def answer(game: Game, action: Action) -> str:
        try:
            rules.played(game, ANN, action, now_ms=1)
        except rules.Refused as exc:
            return str(exc)
        return "allowed"

    rng = Random(7)
    for seed in range(6):
        for game in _played_at_random(seed, [[ANN], [BOB]])[::5]:
            other = _scrambled(game, ANN, rng)

            assert [answer(game, a) for a in ACTIONS] == [answer(other, a) for a in ACTIONS]


def test_gaming_view_shows_opponents_only_in_sight() -> None:
    """Near and clear: place and health, never the stock; in the fog: only that it lives."""
    near = view(_game((0, 0), (3, 1)), ANN)["tanks"]
    behind_pillar = view(_game((1, 1), (3, 3)), ANN)["tanks"]
    far = view(_game((0, 0), (4, 0)), ANN)["tanks"]

    assert near == [{"player": BOB, "team": 1, "alive": True, "x": 3, "y": 1, "health": 3}]
    assert behind_pillar == far == [{"player": BOB, "team": 1, "alive": True}]


def test_gaming_view_team_shares_sight_and_mines() -> None:
    """Team mates know each other's tanks, what each sees, and their mines."""
    tanks = (Tank(ANN, 0, Cell(0, 0)), Tank(BOB, 1, Cell(8, 8)), Tank("amy", 0, Cell(8, 6)))
    game = Game(side=9, tanks=tanks, turn=0, began_at=0, mines=(Mine(0, Cell(5, 5)),))

    seen = {tank["player"]: tank for tank in view(game, ANN)["tanks"]}

    assert seen[BOB]["x"] == 8
    assert seen["amy"]["shells"] == 12
    assert view(game, ANN)["mines"] == [{"x": 5, "y": 5}]
    assert view(game, BOB)["mines"] == []


def test_gaming_view_does_not_tell_who_fired_or_laid() -> None:
    """The victim in the fog learns that he was hit, not by whom; of a mine nobody learns."""
    hit = rules.played(_game((0, 0), (5, 0)), ANN, Shoot(5, 0), now_ms=1)
    laid = rules.played(_game((0, 0), (1, 0)), ANN, Lay(), now_ms=1)

    assert view(hit, BOB)["last"] == [
        {"kind": "shot", "x": 5, "y": 0},
        {"kind": "hit", "player": BOB, "x": 5, "y": 0},
    ]
    assert view(hit, ANN)["last"] == [{"kind": "shot", "player": ANN, "x": 5, "y": 0}]
    assert view(laid, BOB)["last"] == []


def test_gaming_view_tells_of_a_loss_and_not_where() -> None:
    """That somebody is out is known to all; where it was, only to who saw it."""
    game = _game((0, 0), (5, 0))
    weak = replace(game, tanks=(game.tanks[0], replace(game.tanks[1], health=1)))
    over = rules.played(weak, ANN, Shoot(5, 0), now_ms=1)

    assert view(over, ANN)["last"] == [
        {"kind": "shot", "player": ANN, "x": 5, "y": 0},
        {"kind": "destroyed", "player": BOB},
    ]


def test_gaming_view_end_lifts_no_fog() -> None:
    """The winner's and the loser's last views hold no place that was hidden."""
    over = rules.played(_game((0, 0), (8, 8)), BOB, Surrender(), now_ms=1)

    won, lost = view(over, ANN), view(over, BOB)

    assert won["tanks"] == [{"player": BOB, "team": 1, "alive": False}]
    assert lost["tanks"] == [{"player": ANN, "team": 0, "alive": True}]
    assert won["winners"] == lost["winners"] == [ANN]


def test_gaming_game_survives_the_state() -> None:
    """A game is the same after it was kept as plain data and read again."""
    for game in _played_at_random(3, [[ANN], [BOB]]):
        assert msgspec.convert(msgspec.to_builtins(game), Game) == game
