"""Matchmaking: ranges that widen, groups that fit, teams that are equal, estimates."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from modules.gaming import ratings
from modules.gaming.matching import form_match
from modules.gaming.modes import MODES, GameMode
from modules.gaming.tickets import LIFETIME_S, Ticket, is_over, range_at
from modules.gaming.waits import MAX_SAMPLES, Waits

NOW = 1_000_000_000


def _ticket(
    player: str,
    rating: float = 1000,
    *,
    mode: GameMode = "1v1",
    region: str = "eu",
    waited_s: float = 0,
) -> Ticket:
    created_at = NOW - round(waited_s * 1000)
    return Ticket(f"{mode}:{region}:{player}", player, mode, region, rating, 100, created_at)


def test_gaming_matching_range_widens_up_to_a_maximum() -> None:
    """The range starts at 100, grows every five seconds, and never beyond 1000."""
    ranges = [range_at(_ticket("a", waited_s=s), NOW) for s in (0, 4.9, 5, 10, 60, 250, 299)]

    assert ranges == [100, 100, 150, 200, 700, 1000, 1000]


def test_gaming_matching_far_players_meet_after_waiting() -> None:
    """Two players 300 apart do not match at once, and do when both have waited 20 s."""
    fresh = form_match(_ticket("a", 1000), [_ticket("b", 1300)], NOW)
    patient = form_match(_ticket("a", 1000, waited_s=20), [_ticket("b", 1300, waited_s=20)], NOW)

    assert fresh is None
    assert patient is not None


def test_gaming_matching_nobody_is_matched_beyond_his_own_range() -> None:
    """A newcomer is not dragged into a bad match by one who has waited for long."""
    anchor = _ticket("a", 1000, waited_s=200)

    assert form_match(anchor, [_ticket("b", 1300)], NOW) is None


def test_gaming_matching_never_with_himself() -> None:
    """Two tickets of one player never make a match."""
    twin = Ticket("1v1:eu:other", "a", "1v1", "eu", 1000, 100, NOW)

    assert form_match(_ticket("a"), [_ticket("a"), twin], NOW) is None


def test_gaming_matching_keeps_regions_and_modes_apart() -> None:
    """Players of another region or another mode are no opponents, nor are lapsed tickets."""
    others = [
        _ticket("b", region="us"),
        _ticket("c", mode="battle-royale"),
        _ticket("d", waited_s=LIFETIME_S),
    ]

    assert form_match(_ticket("a"), others, NOW) is None
    assert is_over(others[2], NOW)


def test_gaming_matching_takes_the_closest() -> None:
    """Of two that fit the nearer in rating is taken."""
    teams = form_match(_ticket("a", 1000), [_ticket("b", 1080), _ticket("c", 990)], NOW)

    assert teams is not None
    assert {ticket.player_id for team in teams for ticket in team} == {"a", "c"}


def test_gaming_matching_unwilling_neighbour_blocks_nobody() -> None:
    """A newcomer between two patient players, too narrow for both, does not keep them apart."""
    pool = [_ticket("new", 1100, mode="2v2")]
    pool += [
        _ticket(n, r, mode="2v2", waited_s=30) for n, r in (("b", 1110), ("c", 1300), ("d", 990))
    ]

    teams = form_match(_ticket("a", 1000, mode="2v2", waited_s=30), pool, NOW)

    assert teams is not None
    assert {t.player_id for team in teams for t in team} == {"a", "b", "c", "d"}


def test_gaming_matching_teams_of_two_are_balanced() -> None:
    """The strongest plays with the weakest: both teams have the same sum."""
    pool = [_ticket(n, r, mode="2v2") for n, r in (("b", 1010), ("c", 1050), ("d", 1060))]

    teams = form_match(_ticket("a", 1000, mode="2v2"), pool, NOW)

    assert teams is not None
    assert [sum(t.skill_rating for t in team) for team in teams] == [2060, 2060]


def test_gaming_matching_lobby_waits_to_be_full() -> None:
    """A battle royale starts at once with sixteen, with four only after half a minute."""
    mode: GameMode = "battle-royale"
    few = [_ticket(f"p{n}", mode=mode, waited_s=31) for n in range(4)]
    many = [_ticket(f"p{n}", mode=mode) for n in range(20)]

    early = form_match(_ticket("a", mode=mode, waited_s=29), few, NOW)
    late = form_match(_ticket("a", mode=mode, waited_s=30), few, NOW)
    full = form_match(_ticket("a", mode=mode), many, NOW)

    assert early is None
    assert late is not None
    assert full is not None
    assert (len(late), len(full)) == (5, 16)


@given(
    st.sampled_from(list(MODES)),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 299)), min_size=1, max_size=24),
)
def test_gaming_matching_every_match_is_fair(mode: str, players: list[tuple[int, int]]) -> None:
    """Whoever is matched is in it once, with the anchor, in everybody's range, in equal teams."""
    pool = [
        Ticket(f"{mode}:eu:{n}", f"p{n}", mode, "eu", rating, 100, NOW - waited * 1000)  # type: ignore[arg-type]  # drawn by its name
        for n, (rating, waited) in enumerate(players)
    ]

    teams = form_match(pool[0], pool, NOW)

    if teams is None:
        return
    matched = [ticket for team in teams for ticket in team]
    spread = max(t.skill_rating for t in matched) - min(t.skill_rating for t in matched)
    assert pool[0] in matched
    assert len({ticket.player_id for ticket in matched}) == len(matched)
    assert spread <= min(range_at(ticket, NOW) for ticket in matched)
    assert {len(team) for team in teams} == {MODES[mode].team_size}
    assert MODES[mode].least_teams <= len(teams) <= MODES[mode].most_teams


def test_gaming_waits_estimate_comes_from_data() -> None:
    """No estimate below five waits, then the median of the last fifty."""
    few = Waits().with_waits([1, 2, 3, 4])
    enough = few.with_waits([100])
    many = enough.with_waits([7.0] * 60)

    assert few.estimate_s() is None
    assert enough.estimate_s() == 3
    assert (len(many.seconds), many.estimate_s()) == (MAX_SAMPLES, 7)


def test_gaming_ratings_move_by_what_was_expected() -> None:
    """An equal opponent beaten gives 16; the stronger gains less by beating the weaker."""
    equal = ratings.rated([["a"], ["b"]], {"a": 1000, "b": 1000}, 0)
    unequal = ratings.rated([["a"], ["b"]], {"a": 1400, "b": 1000}, 0)
    draw = ratings.rated([["a"], ["b"]], {"a": 1000, "b": 1000}, None)

    assert equal == {"a": 1016, "b": 984}
    assert 1400 < unequal["a"] < 1404
    assert draw == {"a": 1000, "b": 1000}


def test_gaming_ratings_large_lobby_weighs_no_more() -> None:
    """The winner among sixteen equals gains as much as in a duel; nobody falls below zero."""
    teams = [[f"p{n}"] for n in range(16)]
    after = ratings.rated(teams, {f"p{n}": 1000.0 for n in range(16)}, 3)

    assert after["p3"] == 1016
    assert ratings.rated([["a"], ["b"]], {"a": 5, "b": 5}, 0)["b"] == 0


def test_gaming_ratings_brackets_follow_ratings() -> None:
    """Brackets go up with the rating; a rating that is none is that of a new player."""
    names = [ratings.get_skill_bracket(r) for r in (0, 899, 900, 1200, 1500, 1800, 9000)]

    assert names == ["bronze", "bronze", "silver", "gold", "platinum", "diamond", "diamond"]
    assert all(a != b for a, b in pairwise(names[1:-1]))
    assert [ratings.rating_of(s) for s in (None, {}, {"rating": True}, {"rating": "x"})] == [
        1000
    ] * 4
    assert ratings.rating_of({"rating": 0}) == 0
