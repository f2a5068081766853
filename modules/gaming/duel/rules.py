"""The rules: what an action does to a game, and when it is over. Pure."""

from collections.abc import Mapping

from msgspec.structs import replace

from modules.gaming.duel import board
from modules.gaming.duel.board import Cell
from modules.gaming.duel.game import (
    Action,
    Direction,
    Game,
    Happening,
    Kind,
    Lay,
    Mine,
    Move,
    Shoot,
    Surrender,
    Tank,
    Wait,
)

MAX_TURNS_PER_TANK = 60
MAX_MISSED = 3
_STEPS: Mapping[Direction, tuple[int, int]] = {
    "north": (0, -1),
    "east": (1, 0),
    "south": (0, 1),
    "west": (-1, 0),
}


class Refused(Exception):
    """An action that the rules do not allow; the text says why and gives nothing hidden away."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def played(game: Game, player: str, action: Action, *, now_ms: int) -> Game:
    """Return the game after a player's action.

    Raises:
        Refused: the game is over, it is not the player's turn, or the action is not possible.
    """
    own = game.tank_of(player)
    if game.end is not None:
        raise Refused("over", "the game is over")
    if not own.is_alive:
        raise Refused("destroyed", "your tank is destroyed")
    if isinstance(action, Surrender):
        return _surrendered(game, own, now_ms)
    if game.tanks[game.turn].player != player:
        raise Refused("turn", "it is not your turn")
    after = _with_tank(game, replace(own, missed=0))
    after = _done(after, after.tank_of(player), action)
    return _next_turn(replace(after, inputs=game.inputs + 1), now_ms)


def skipped(game: Game, *, now_ms: int) -> Game:
    """Return the game after the turn's time is up: the tank idles, at the third time it is out."""
    idle = game.tanks[game.turn]
    missed = idle.missed + 1
    health = 0 if missed >= MAX_MISSED else idle.health
    after = _with_tank(game, replace(idle, missed=missed, health=health))
    kinds: tuple[Kind, ...] = ("idled",) if health else ("idled", "destroyed")
    last = tuple(Happening(kind, idle.player, idle.at) for kind in kinds)
    return _next_turn(replace(after, last=last), now_ms)


def _done(game: Game, own: Tank, action: Action) -> Game:
    match action:
        case Move(direction=direction):
            return _moved(game, own, direction)
        case Shoot(x=x, y=y):
            return _shot(game, own, Cell(x, y))
        case Lay():
            return _laid(game, own)
        case Wait():
            return replace(game, last=(Happening("idled", own.player, own.at),))
        case Surrender():
            raise AssertionError


def _moved(game: Game, own: Tank, direction: Direction) -> Game:
    dx, dy = _STEPS[direction]
    to = Cell(own.at.x + dx, own.at.y + dy)
    # A neighbouring cell is always in sight, so a refusal tells nothing that is not seen.
    if not board.is_on_board(to, game.side):
        raise Refused("bounds", f"there is no cell to the {direction}")
    if board.is_pillar(to) or game.tank_at(to):
        raise Refused("blocked", f"the cell to the {direction} is taken")
    after = _with_tank(game, replace(own, at=to))
    after = replace(after, last=(Happening("moved", own.player, to),))
    return _exploded(after, to) if _is_mined(game, to) else after


def _exploded(game: Game, cell: Cell) -> Game:
    left = tuple(mine for mine in game.mines if mine.at != cell)
    victim = game.tank_at(cell)
    after = replace(game, mines=left)
    return after if victim is None else _hurt(after, victim, "exploded")


def _shot(game: Game, own: Tank, target: Cell) -> Game:
    if not board.is_on_board(target, game.side):
        raise Refused("bounds", f"there is no cell ({target.x}, {target.y})")
    if target == own.at or board.distance(own.at, target) > board.SHOT_REACH:
        raise Refused("reach", f"a shell flies 1 to {board.SHOT_REACH} cells")
    if not board.is_clear(own.at, target):
        raise Refused("blocked", "a pillar is in between")
    if not own.shells:
        raise Refused("empty", "no shells are left")
    after = _with_tank(game, replace(own, shells=own.shells - 1))
    after = replace(after, last=(Happening("shot", own.player, target),))
    victim = after.tank_at(target)
    return after if victim is None else _hurt(after, victim, "hit")


def _laid(game: Game, own: Tank) -> Game:
    if not own.mines:
        raise Refused("empty", "no mines are left")
    if _is_mined(game, own.at):
        # Only the layer of a mine, or nobody, can stand on one: who drives onto one sets it off.
        raise Refused("blocked", "a mine lies here already")
    after = _with_tank(game, replace(own, mines=own.mines - 1))
    laid = Happening("laid", own.player, own.at)
    return replace(after, mines=(*game.mines, Mine(own.team, own.at)), last=(laid,))


def _is_mined(game: Game, cell: Cell) -> bool:
    return any(mine.at == cell for mine in game.mines)


def _hurt(game: Game, victim: Tank, kind: Kind) -> Game:
    hurt = replace(victim, health=victim.health - 1)
    happenings = [Happening(kind, victim.player, victim.at)]
    if not hurt.is_alive:
        happenings.append(Happening("destroyed", victim.player, victim.at))
    return replace(_with_tank(game, hurt), last=(*game.last, *happenings))


def _surrendered(game: Game, own: Tank, now_ms: int) -> Game:
    after = _with_tank(game, replace(own, health=0))
    after = replace(
        after,
        inputs=game.inputs + 1,
        last=(Happening("surrendered", own.player, own.at),),
    )
    if game.tanks[game.turn].player == own.player:
        return _next_turn(after, now_ms)
    return _ended(replace(after, version=game.version + 1))


def _next_turn(game: Game, now_ms: int) -> Game:
    count = len(game.tanks)
    order = [(game.turn + step) % count for step in range(1, count + 1)]
    turn = next((index for index in order if game.tanks[index].is_alive), game.turn)
    return _ended(
        replace(game, turn=turn, turns=game.turns + 1, began_at=now_ms, version=game.version + 1)
    )


def _ended(game: Game) -> Game:
    """Mark the end: one team is left, nobody is, or the game has gone on for too long."""
    teams = {tank.team for tank in game.tanks if tank.is_alive}
    if len(teams) == 1:
        return replace(game, end="won", winner=teams.pop())
    too_long = game.turns >= MAX_TURNS_PER_TANK * len(game.tanks)
    return replace(game, end="drawn") if too_long or not teams else game


def _with_tank(game: Game, tank: Tank) -> Game:
    tanks = tuple(tank if other.player == tank.player else other for other in game.tanks)
    return replace(game, tanks=tanks)
