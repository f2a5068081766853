"""GameSession on the real engine: joining, playing to the end, and what never leaves."""

import json
from typing import Any

import anyio
import pytest

from modules.gaming import sessions
from modules.gaming.duel.board import Cell
from modules.gaming.duel.game import Game
from modules.gaming.visibility import view
from tests.support.gaming import Arena, Connection, arena
from tidegate.contract import Context

pytestmark = pytest.mark.anyio

GROUPS = ("game_sessions", "game_states", "active_players", "player_inputs", "player_sessions")
WAIT = {"type": "wait"}
ERRORS = {
    "it is not your turn",
    "a shell flies 1 to 6 cells",
    "there is no cell to the north",
    "a mine lies here already",
    "no mines are left",
    "a message of 10000 is longer than 1024",
    "a message must be JSON like {'type': 'move', 'direction': 'north'}",
}
DEEP = "[" * 5000 + "]" * 5000


async def _game(a: Arena, session_id: str) -> Game:
    game: Game = await a.call(lambda ctx: sessions.game_of(ctx.state, session_id))
    return game


async def _arrange(a: Arena, session_id: str, **places: tuple[int, int]) -> Game:
    """Put the players' tanks where a test needs them; it is the first player's turn."""

    async def put(ctx: Context) -> Game:
        kept = await ctx.state.get(sessions.GAMES, session_id)
        for tank in kept["tanks"]:
            x, y = places[tank["player"]]
            tank["at"] = {"x": x, "y": y}
        names = [tank["player"] for tank in kept["tanks"]]
        kept["turn"] = names.index(next(iter(places)))
        await ctx.state.set(sessions.GAMES, session_id, kept)
        return Game(**kept)

    await a.call(put)
    return await _game(a, session_id)


async def test_gaming_session_is_played_to_a_win() -> None:
    """Two players fight it out: views, results, the session's end, ratings, and free again."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        ann, bob = await a.connect(session_id, "ann"), await a.connect(session_id, "bob")
        await _arrange(a, session_id, ann=(0, 0), bob=(3, 0))
        for _ in range(3):
            await a.harness.tick(1)
            await ann.say({"type": "shoot", "x": 3, "y": 0})
            await bob.say(WAIT)
        await a.harness.drain()

        session = await a.harness.state("game_sessions", session_id)
        ratings = [(await a.harness.state("player_stats", p))["rating"] for p in ("ann", "bob")]
        playing = await a.group("player_sessions")
        again = await a.find("ann")

    assert (session["status"], session["players"][session["winner"]]) == ("completed", "ann")
    assert [f["result"] for f in ann.of_type("gameOver") + bob.of_type("gameOver")] == [
        "won",
        "lost",
    ]
    assert ann.closed == bob.closed == (1000, "game over")
    assert ratings == [1016, 984]
    assert (playing, again["status"]) == ([], 202)


async def test_gaming_session_frames_hold_nothing_hidden() -> None:
    """In no frame of any kind is a place, a stock or a mine of the other that is not in sight."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        ann, bob = await a.connect(session_id, "ann"), await a.connect(session_id, "bob")
        await _arrange(a, session_id, ann=(0, 0), bob=(8, 7))
        told: list[tuple[Game, Connection, str, list[str]]] = []

        async def say(who: Connection, message: object) -> None:
            seen = {c: len(c.texts) for c in (ann, bob)}
            await a.harness.tick(1)
            await who.say(message)
            await a.harness.drain()
            game = await _game(a, session_id)
            told.extend(
                (game, c, name, c.texts[seen[c] :]) for c, name in ((ann, "ann"), (bob, "bob"))
            )

        for message in ({"type": "lay"}, {"type": "move", "direction": "north"}, WAIT, "{", DEEP):
            await say(ann, message)
            await say(bob, {"type": "lay"})
            await say(bob, {"type": "shoot", "x": 0, "y": 0})
            await say(ann, {"type": "move", "direction": "south"})
        again = await a.connect(session_id, "ann")
        told.append((await _game(a, session_id), again, "ann", list(again.texts)))
        ann = again
        await say(bob, {"type": "surrender"})

    assert {f["type"] for f in ann.frames + bob.frames} == {"gameUpdate", "gameOver", "error"}
    for game, _, name, texts in told:
        for text in texts:
            _check_nothing_hidden(game, name, json.loads(text))


def _check_nothing_hidden(game: Game, player: str, frame: dict[str, Any]) -> None:
    """Check a frame: beside the player's own view it has only fixed words and the time."""
    rest = {key: value for key, value in frame.items() if key != "data"}
    assert set(rest) <= {"type", "timestamp", "code", "message", "result", "winners"}
    assert rest.get("message", "it is not your turn") in ERRORS
    if "data" in frame:
        assert frame["data"] == view(game, player)
        [other] = frame["data"]["tanks"]
        assert set(other) == {"player", "team", "alive"}
        own = game.tank_of(player)
        mines = [mine.at for mine in game.mines if mine.team != own.team]
        assert not [m for m in frame["data"]["mines"] if Cell(**m) in mines]


async def test_gaming_session_streams_hold_no_open_secret() -> None:
    """The open group of the stream tells only that something changed; views are in secret ones."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        ann = await a.connect(session_id, "ann")
        await _arrange(a, session_id, ann=(0, 0), bob=(8, 8))
        await ann.say({"type": "lay"})

        session = await a.harness.state("game_sessions", session_id)
        changes = [change for change in a.changes if change.name == f"game:{session_id}"]
        current = await a.call(lambda c: c.streams[f"game:{session_id}"].get("state", "current"))

    groups = {change.group for change in changes}
    assert groups <= {
        "state",
        *session["viewGroups"].values(),
    }
    assert set(current) == {"version", "status"}
    assert not groups & {"ann", "bob"}
    assert min(len(group) for group in groups - {"state"}) >= 20


async def test_gaming_session_inputs_at_the_same_time_are_not_lost() -> None:
    """Both send at once, over and over: each accepted input has a number of its own."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        ann, bob = await a.connect(session_id, "ann"), await a.connect(session_id, "bob")
        await _arrange(a, session_id, ann=(0, 0), bob=(8, 8))
        for _ in range(12):
            await a.harness.tick(1)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ann.say, WAIT)
                tasks.start_soon(bob.say, WAIT)

        game = await _game(a, session_id)
        inputs = await a.group("player_inputs")
        events = a.harness.capture("player.input.recorded")

    numbers = sorted(record["sequence"] for record in inputs)
    assert numbers == list(range(1, game.inputs + 1))
    assert game.inputs >= 12
    assert sorted(event["sequence"] for event in events) == numbers


async def test_gaming_session_inputs_of_one_millisecond_are_both_kept() -> None:
    """The clock stands still: two inputs are two records and two events, kept for an hour."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        ann, bob = await a.connect(session_id, "ann"), await a.connect(session_id, "bob")
        await _arrange(a, session_id, ann=(0, 0), bob=(8, 8))
        for who in (ann, bob, ann):
            await who.say(WAIT)

        inputs = await a.group("player_inputs")
        [first] = [record for record in inputs if record["sequence"] == 1]
        await a.harness.tick(3599)
        kept = len(await a.group("player_inputs"))
        await a.harness.tick(1)
        gone = await a.group("player_inputs")

    assert len(inputs) == kept == 3
    assert gone == []
    assert len({record["timestamp"] for record in inputs}) == 1
    assert first["input"] == {"type": "wait", "position": {"x": 0, "y": 0}}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no json", "invalid"),
        (DEEP, "invalid"),
        ('{"a":' * 2000, "invalid"),
        (b"\xff\xfe", "invalid"),
        ("x" * 10_000_000, "invalid"),
        ({"type": "move", "direction": "north"}, "bounds"),
        ({"type": "shoot", "x": 200, "y": 200}, "bounds"),
        ({"type": "shoot", "x": 8, "y": 8}, "reach"),
    ],
    ids=lambda part: str(part)[:20],
)
async def test_gaming_session_refuses_bad_input(message: object, code: str) -> None:
    """A bad message is answered with an error; the game is as before, and the turn goes on."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        ann = await a.connect(session_id, "ann")
        before = await _arrange(a, session_id, ann=(0, 0), bob=(8, 8))
        await ann.say(message)

        after = await _game(a, session_id)
        inputs = await a.group("player_inputs")
        await ann.say(WAIT)
        later = await _game(a, session_id)

    assert [frame["code"] for frame in ann.of_type("error")] == [code]
    assert (after, inputs) == (before, [])
    assert later.version == before.version + 1
    assert ann.closed is None


async def test_gaming_session_refuses_the_others_turn() -> None:
    """Who is not on turn is told so, and changes nothing."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        bob = await a.connect(session_id, "bob")
        before = await _arrange(a, session_id, ann=(0, 0), bob=(8, 8))
        await bob.say(WAIT)

        after = await _game(a, session_id)

    assert [frame["code"] for frame in bob.of_type("error")] == ["turn"]
    assert after == before


async def test_gaming_session_bounds_the_rate() -> None:
    """Five at once, then five a second; who goes on is put out after twenty refusals."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        bob = await a.connect(session_id, "bob")
        await _arrange(a, session_id, ann=(0, 0), bob=(8, 8))
        for _ in range(7):
            await bob.say(WAIT)
        burst = [frame["code"] for frame in bob.of_type("error")]
        await a.harness.tick(1)
        await bob.say(WAIT)
        later = bob.of_type("error")[-1]["code"]
        for _ in range(24):
            await bob.say(WAIT)

    assert burst == ["turn"] * 5 + ["rate"] * 2
    assert later == "turn"
    assert bob.closed == (1008, "too many refused messages")


@pytest.mark.parametrize("session", ["theirs", "none"])
async def test_gaming_session_refuses_spectators(session: str) -> None:
    """A stranger gets 1008 and not one frame, whether there is such a session or not."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        eve = await a.connect(session_id if session == "theirs" else "none", "eve")

        active = await a.group("active_players")

    assert (eve.closed, eve.texts) == ((1008, "Unauthorized"), [])
    assert (active, a.followers) == ([], 0)


async def test_gaming_session_second_connection_takes_over() -> None:
    """The first is told and closed, plays no more, and its end does not end the second."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        first = await a.connect(session_id, "ann")
        await _arrange(a, session_id, ann=(0, 0), bob=(8, 8))
        second = await a.connect(session_id, "ann")
        await first.say(WAIT)
        refused = await _game(a, session_id)
        await first.drop()
        [active] = await a.group("active_players")
        await second.say(WAIT)

        played = await _game(a, session_id)

    assert first.closed == (4001, "connected elsewhere")
    assert [frame["code"] for frame in first.of_type("error")] == ["taken-over"] * 2
    assert (refused.inputs, played.inputs) == (0, 1)
    assert active["playerId"] == "ann"
    assert second.closed is None


async def test_gaming_session_reconnect_gets_the_full_view() -> None:
    """Who comes back sees all that he may see, and what happened while he was away."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        ann, bob = await a.connect(session_id, "ann"), await a.connect(session_id, "bob")
        await _arrange(a, session_id, ann=(0, 0), bob=(4, 0))
        await ann.say(WAIT)
        await ann.drop()
        left = [active["playerId"] for active in await a.group("active_players")]
        await bob.say({"type": "move", "direction": "west"})
        missed = len(ann.texts)
        back = await a.connect(session_id, "ann")

        game = await _game(a, session_id)

    assert left == ["bob"]
    assert len(ann.texts) == missed
    assert back.view == view(game, "ann")
    assert back.view["tanks"][0]["x"] == 3


async def test_gaming_session_close_ends_the_subscription() -> None:
    """After the close nothing is followed any more; a session that is over closes at once."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        ann, bob = await a.connect(session_id, "ann"), await a.connect(session_id, "bob")
        during = a.followers
        await ann.say({"type": "surrender"})
        await ann.drop()
        await bob.drop()
        after = a.followers
        late = await a.connect(session_id, "ann")

    assert (during, after) == (2, 0)
    assert late.of_type("gameOver")[0]["result"] == "lost"
    assert late.closed == (1000, "game over")


async def test_gaming_session_goes_on_without_the_absent() -> None:
    """Nobody connects: turns pass after 30 s each, and the third missed one ends the game."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        await a.harness.tick(30 * 4)
        running = await _game(a, session_id)
        await a.harness.tick(30)

        over = await _game(a, session_id)
        [ended] = a.harness.capture("game.ended")

    assert (running.end, running.turns) == (None, 4)
    assert over.end == "won"
    assert ended["winner"] == over.winner


async def test_gaming_session_leaves_nothing_behind() -> None:
    """A day after its end a game is gone: session, state, inputs, and what its stream held."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")
        ann = await a.connect(session_id, "ann")
        await ann.say({"type": "surrender"})
        await ann.drop()
        await a.harness.tick(24 * 3600)

        kept = [await a.group(name) for name in GROUPS]
        current = await a.call(lambda c: c.streams[f"game:{session_id}"].get("state", "current"))

    assert (kept, current) == ([[]] * len(GROUPS), None)


async def test_gaming_session_of_a_destroyed_player_is_not_his_prison() -> None:
    """In a battle royale who is out may look for another match while the others play on."""
    async with arena() as a:
        for player in "abcd":
            await a.find(player, "battle-royale")
        await a.harness.tick(30)
        [found] = a.harness.capture("match.found")
        one = await a.connect(found["sessionId"], "a")
        await one.say({"type": "surrender"})

        again = await a.find("a")
        others = await a.find("b")
        game = await _game(a, found["sessionId"])

    assert (again["status"], others["status"]) == (202, 409)
    assert game.end is None
