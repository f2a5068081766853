"""FindMatch and its steps on the real engine: tickets, searches, matches, ends."""

from collections import Counter
from functools import partial
from itertools import chain

import anyio
import pytest

from modules.gaming import queue
from modules.gaming.steps import search_match_step
from modules.gaming.tickets import Ticket
from tests.support.gaming import STEPS, Arena, arena
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.testing import Harness

pytestmark = pytest.mark.anyio


async def test_gaming_find_match_two_players_meet() -> None:
    """Two players of one rating are matched at once; both are told on their streams."""
    async with arena() as a:
        first = await a.find("ann")
        await a.find("bob")
        await a.harness.drain()

        [found] = a.harness.capture("match.found")
        session = await a.harness.state("game_sessions", found["sessionId"])
        news = [await a.told(player) for player in ("ann", "bob")]
        waiting = await a.group("matchmaking_queue")

    assert (first["status"], first["body"]["message"]) == (202, "Searching for match...")
    assert sorted(found["players"]) == sorted(session["players"]) == ["ann", "bob"]
    assert [n["status"] for n in news] == ["found", "found"]
    assert {n["sessionId"] for n in news} == {found["sessionId"]}
    assert waiting == []


async def test_gaming_find_match_one_ticket_per_player() -> None:
    """A second call gives the same ticket, and nobody is matched with himself."""
    async with arena() as a:
        first, second = await a.find("ann"), await a.find("ann")
        await a.harness.tick(60)

        waiting = await a.group("matchmaking_queue")
        found = a.harness.capture("match.found")

    assert first["body"]["requestId"] == second["body"]["requestId"]
    assert [ticket["playerId"] for ticket in waiting] == ["ann"]
    assert found == []


async def test_gaming_find_match_moves_the_ticket() -> None:
    """Another mode or region takes the player out of the first queue."""
    async with arena() as a:
        await a.find("ann", "1v1", "eu")
        moved = await a.find("ann", "1v1", "us")
        await a.find("bob", "1v1", "eu")
        await a.harness.tick(30)
        unmatched = list(a.harness.capture("match.found"))
        await a.find("cat", "1v1", "us")
        await a.harness.drain()

        [found] = a.harness.capture("match.found")

    assert unmatched == []
    assert moved["body"]["requestId"].startswith("1v1:us:")
    assert sorted(found["players"]) == ["ann", "cat"]


async def test_gaming_find_match_range_widens_every_five_seconds() -> None:
    """Two players 300 apart meet after 20 s of waiting; each search says its range."""
    async with arena() as a:
        await a.rate("ann", 1000)
        await a.rate("bob", 1300)
        await a.find("ann")
        await a.find("bob")
        await a.harness.tick(19.9)
        early = list(a.harness.capture("match.found"))
        await a.harness.tick(0.1)

        found = a.harness.capture("match.found")
        searches = a.harness.capture("matchmaking.searching")

    ranges = [s["searchRange"] for s in searches if s["playerId"] == "ann"]
    assert early == []
    assert len(found) == 1
    assert ranges == [100, 150, 200, 250, 300]


async def test_gaming_find_match_expires_and_says_so() -> None:
    """After five minutes the search ends: an event, the stream, and no search any more."""
    async with arena() as a:
        ticket = await a.find("ann")
        await a.harness.tick(299.9)
        before = list(a.harness.capture("matchmaking.expired"))
        await a.harness.tick(0.1)
        news = await a.told("ann")
        searches = len(a.harness.capture("matchmaking.searching"))
        await a.harness.tick(60)

        waiting = await a.group("matchmaking_queue"), await a.group("matchmaking_players")
        expired = a.harness.capture("matchmaking.expired")
        later = len(a.harness.capture("matchmaking.searching"))

    assert before == []
    assert [e["requestId"] for e in expired] == [ticket["body"]["requestId"]]
    assert news["status"] == "expired"
    assert waiting == ([], [])
    assert later == searches


async def test_gaming_find_match_cancel() -> None:
    """A cancelled search is over: not matched, not expired later, not cancelled twice."""
    async with arena() as a:
        await a.find("ann")
        cancelled = await a.cancel("ann")
        await a.find("bob")
        await a.harness.tick(400)
        news = await a.told("ann")
        again = await _refused(a, "ann")

        found = a.harness.capture("match.found")
        expired = [e["playerId"] for e in a.harness.capture("matchmaking.expired")]

    assert (cancelled["status"], again) == (200, 404)
    assert (found, expired) == ([], ["bob"])
    assert news["status"] == "cancelled"


async def _refused(a: Arena, player: str) -> int:
    with pytest.raises(HTTPError) as refused:
        await a.cancel(player)
    return refused.value.status


async def test_gaming_find_match_who_plays_is_not_matched_again() -> None:
    """While a player is in a game he gets no ticket, but the way to his session."""
    async with arena() as a:
        session_id = await a.match("ann", "bob")

        again = await a.find("ann")
        waiting = await a.group("matchmaking_queue")

    assert (again["status"], again["body"]["sessionId"]) == (409, session_id)
    assert waiting == []


async def test_gaming_find_match_sixty_four_at_once() -> None:
    """64 calls at the same time, searches beside them: everybody is in exactly one match."""
    players = [f"p{number}" for number in range(64)]
    async with arena() as a:
        async with anyio.create_task_group() as tasks:
            for player in players:
                tasks.start_soon(a.find, player)
            for _ in range(8):
                tasks.start_soon(a.harness.drain)
        await a.harness.tick(10)

        found = a.harness.capture("match.found")
        waiting = await a.group("matchmaking_queue")
        sessions = await a.group("player_sessions")

    seats = Counter(chain.from_iterable(match["players"] for match in found))
    assert seats == Counter(players)
    assert waiting == []
    assert Counter(sessions) == Counter({match["sessionId"]: 2 for match in found})


async def test_gaming_search_match_concurrent_searches_share_nobody() -> None:
    """All tickets are searched for at the same moment: no ticket goes into two matches."""
    players = [f"p{number}" for number in range(32)]
    async with arena() as a:
        tickets = [await a.call(partial(_opened, player=player)) for player in players]
        async with anyio.create_task_group() as tasks:
            for ticket in tickets:
                tasks.start_soon(a.call, partial(search_match_step.handler, ticket))

        found = a.harness.capture("match.found")

    assert Counter(chain.from_iterable(match["players"] for match in found)) == Counter(players)


async def _opened(ctx: Context, *, player: str) -> Ticket:
    return await queue.open_ticket(ctx, player, game_mode="1v1", region="eu")


async def test_gaming_find_match_estimates_from_real_waits() -> None:
    """No estimate before five searches ended; then the median of what they took."""
    async with arena() as a:
        first = await a.find("p0")
        for number, wait_s in enumerate((10, 0, 20, 0, 20, 0)):
            await a.find(f"p{number}")
            await a.harness.drain()
            await a.harness.tick(wait_s)
        later = await a.find("p9")
        elsewhere = await a.find("p8", region="us")

        waits = await a.harness.state("matchmaking_waits", "1v1:eu")

    assert first["body"]["estimatedTime"] is None
    assert len(waits["seconds"]) == 6
    assert later["body"]["estimatedTime"] == 5
    assert elsewhere["body"]["estimatedTime"] is None


@pytest.mark.parametrize("mode", ["2v2", "battle-royale"])
async def test_gaming_find_match_other_modes(mode: str) -> None:
    """Four players: two equal teams at once, or a small lobby after half a minute."""
    async with arena() as a:
        for player, rating in (("a", 1000), ("b", 1010), ("c", 1050), ("d", 1060)):
            await a.rate(player, rating)
            await a.find(player, mode)
        await a.harness.drain()
        at_once = len(a.harness.capture("match.found"))
        await a.harness.tick(30)

        [found] = a.harness.capture("match.found")

    teams = sorted(sorted(team) for team in found["teams"])
    assert at_once == (1 if mode == "2v2" else 0)
    assert teams == ([["a", "d"], ["b", "c"]] if mode == "2v2" else [["a"], ["b"], ["c"], ["d"]])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"gameMode": "1v1"},
        {"gameMode": "3v3", "region": "eu"},
        {"gameMode": "1v1", "region": ""},
        {"gameMode": "1v1", "region": "*"},
        {"gameMode": "1v1", "region": "eu:us"},
        {"gameMode": "1v1", "region": "x" * 33},
        {"gameMode": "1v1", "region": 1},
        {"gameMode": "1v1", "region": "eu", "skillRating": 1},
        [],
    ],
)
async def test_gaming_find_match_checks_its_body(body: object) -> None:
    """What does not fit is 422, and no ticket is made; a stranger is 401 whatever he sends."""
    async with arena() as a:
        answer = await a.harness.client.post("/matchmaking/find", json=body)
        stranger = await a.harness.client.post(
            "/matchmaking/find", json=body, headers={"Authorization": ""}
        )

        waiting = await a.group("matchmaking_queue")

    assert (answer.status_code, stranger.status_code, waiting) == (422, 401, [])


async def test_gaming_find_match_over_http() -> None:
    """A call over HTTP is for the one who is logged in; DELETE ends it, a second is 404."""
    async with arena() as a:
        answer = await a.harness.client.post(
            "/matchmaking/find", json={"gameMode": "1v1", "region": "eu"}
        )
        [ticket] = await a.group("matchmaking_queue")
        ended = await a.harness.client.delete("/matchmaking/find")
        again = await a.harness.client.delete("/matchmaking/find")

    assert (answer.status_code, answer.json()["requestId"]) == (202, ticket["id"])
    assert ticket["playerId"] == "admin"
    assert (ended.status_code, again.status_code) == (200, 404)


async def test_gaming_steps_load() -> None:
    """Every step of the module loads, and no resource is missing."""
    async with Harness(STEPS) as h:
        names = set(h.engine.steps)

    assert {"FindMatch", "GameSession", "DetectCheating"} <= names
