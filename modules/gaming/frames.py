"""What a client of a game is sent. Pure; all of the game in it comes from `visibility.view`."""

from typing import Any, NamedTuple

from modules.gaming.duel.game import Game
from modules.gaming.visibility import view

GAME_OVER = (1000, "game over")

Close = tuple[int, str]


class Reply(NamedTuple):
    """What to send to the one who is connected, and whether to close then."""

    frames: tuple[dict[str, Any], ...] = ()
    close: Close | None = None


def shown(game: Game, player: str, now_ms: int) -> Reply:
    """Return a player's full view of the game; after the end also the result, and the closing."""
    seen = view(game, player)
    update = {"type": "gameUpdate", "data": seen, "timestamp": now_ms}
    if game.end is None:
        return Reply((update,))
    won = game.end == "won" and game.tank_of(player).team == game.winner
    result = "drawn" if game.end == "drawn" else "won" if won else "lost"
    over = {"type": "gameOver", "result": result, "winners": seen["winners"], "timestamp": now_ms}
    return Reply((update, over), GAME_OVER)


def error(code: str, text: str, now_ms: int) -> dict[str, Any]:
    """Return the frame that says why a message came to nothing."""
    return {"type": "error", "code": code, "message": text, "timestamp": now_ms}
