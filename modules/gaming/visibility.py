"""What one player may know of a game: his own team in full, the others as far as it sees. Pure.

Everything that leaves for a client goes through `view`; nothing else knows the whole game and
a client at once.
"""

from typing import Any

from modules.gaming.duel import board
from modules.gaming.duel.board import Cell
from modules.gaming.duel.game import Game, Happening, Tank


def view(game: Game, player: str) -> dict[str, Any]:
    """Return the game as a player sees it, JSON-like; it holds all of it, not a difference.

    Team mates share their sight. A destroyed team sees nothing more. Of an opponent in the fog
    only its name, team and whether it lives are known; of one in sight also place and health.
    Mines of other teams are never seen. The end of a game lifts no fog.
    """
    own = game.tank_of(player)
    eyes = [tank.at for tank in game.tanks if tank.team == own.team and tank.is_alive]
    shown: dict[str, Any] = {
        "version": game.version,
        "side": game.side,
        "pillars": [_place(cell) for cell in board.pillars(game.side)],
        "status": "active" if game.end is None else "completed",
        "turnOf": game.tanks[game.turn].player if game.end is None else None,
        "you": _own(own),
        "mines": [_place(mine.at) for mine in game.mines if mine.team == own.team],
        "tanks": [_other(tank, own, eyes) for tank in game.tanks if tank.player != player],
        "last": [_told(h, player) for h in game.last if _perceives(h, own, eyes)],
    }
    if game.end is not None:
        shown["winner"] = game.winner
        shown["winners"] = [tank.player for tank in game.tanks if tank.team == game.winner]
    return shown


def sees(game: Game, player: str, cell: Cell) -> bool:
    """Tell whether a player's team sees a cell."""
    team = game.tank_of(player).team
    return any(board.can_see(t.at, cell) for t in game.tanks if t.team == team and t.is_alive)


def _own(tank: Tank) -> dict[str, Any]:
    return {
        **_public(tank),
        **_place(tank.at),
        "health": tank.health,
        "shells": tank.shells,
        "mines": tank.mines,
        "missed": tank.missed,
    }


def _other(tank: Tank, own: Tank, eyes: list[Cell]) -> dict[str, Any]:
    if tank.team == own.team:
        return _own(tank)
    if tank.is_alive and any(board.can_see(eye, tank.at) for eye in eyes):
        return {**_public(tank), **_place(tank.at), "health": tank.health}
    return _public(tank)


def _public(tank: Tank) -> dict[str, Any]:
    return {"player": tank.player, "team": tank.team, "alive": tank.is_alive}


def _place(cell: Cell) -> dict[str, int]:
    return {"x": cell.x, "y": cell.y}


def _perceives(happening: Happening, own: Tank, eyes: list[Cell]) -> bool:
    """Tell whether a player notices it: his own doing or loss, or in his team's sight.

    A mine is laid unseen by anybody else; that somebody is out is known to all.
    """
    if happening.player == own.player or happening.kind in ("destroyed", "surrendered"):
        return True
    if happening.kind == "laid":
        return False
    return any(board.can_see(eye, happening.at) for eye in eyes)


def _told(happening: Happening, player: str) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": happening.kind}
    # Who fired is not to be seen where the shell comes down, nor where somebody went out.
    if happening.kind != "shot" or happening.player == player:
        told["player"] = happening.player
    if happening.kind not in ("destroyed", "surrendered"):
        told.update(_place(happening.at))
    return told
