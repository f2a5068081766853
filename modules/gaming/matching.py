"""Who plays with whom: the tightest group around one ticket, split into equal teams. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from modules.gaming.modes import MODES, Mode
from modules.gaming.tickets import Ticket, is_over, range_at, waited_s

MAX_CANDIDATES = 200

Group = tuple[Ticket, ...]
Teams = tuple[Group, ...]


def form_match(anchor: Ticket, pool: Iterable[Ticket], now_ms: int) -> Teams | None:
    """Return the teams of a match with `anchor` in it, or None when nobody fits yet.

    Everybody's rating is within everybody's search range. Of several groups the one with the
    smallest spread of ratings is taken, among equals the one that has waited longest. A lobby
    that is not full starts only when its anchor has waited for the mode's patience.
    """
    mode = MODES[anchor.game_mode]
    candidates = _candidates(anchor, pool, now_ms)
    for size in _sizes(mode, len(candidates), patient=waited_s(anchor, now_ms) < mode.patience_s):
        group = _tightest(anchor, candidates, size, now_ms)
        if group is not None:
            return split(group, mode)
    return None


def _candidates(anchor: Ticket, pool: Iterable[Ticket], now_ms: int) -> list[Ticket]:
    """Return the nearest tickets that accept the anchor and that it accepts, one per player."""
    reach = range_at(anchor, now_ms)
    found = {anchor.player_id: anchor}
    for ticket in pool:
        apart = abs(ticket.skill_rating - anchor.skill_rating)
        fits = ticket.pool == anchor.pool and not is_over(ticket, now_ms)
        if fits and apart <= min(reach, range_at(ticket, now_ms)):
            found.setdefault(ticket.player_id, ticket)

    def distance(ticket: Ticket) -> tuple[float, str]:
        return abs(ticket.skill_rating - anchor.skill_rating), ticket.id

    kept = sorted(found.values(), key=distance)[:MAX_CANDIDATES]
    return kept if anchor in kept else [anchor, *kept[:-1]]


def _sizes(mode: Mode, available: int, *, patient: bool) -> Iterator[int]:
    """Yield the sizes of lobby to try, largest first."""
    most = min(mode.most_players, available)
    least = mode.most_players if patient or not mode.patience_s else mode.least_players
    for size in range(most, least - 1, -1):
        if size % mode.team_size == 0:
            yield size


def _tightest(anchor: Ticket, candidates: Sequence[Ticket], size: int, now_ms: int) -> Group | None:
    best: tuple[float, int, Group] | None = None
    for reach in sorted({range_at(ticket, now_ms) for ticket in candidates}):
        # A group's spread must be within its narrowest range: ranges are tried one by one.
        willing = [ticket for ticket in candidates if range_at(ticket, now_ms) >= reach]
        for group in _windows(anchor, willing, size):
            spread = group[-1].skill_rating - group[0].skill_rating
            rank = (spread, sum(ticket.created_at for ticket in group), group)
            if spread <= reach and (best is None or rank[:2] < best[:2]):
                best = rank
    return best[2] if best else None


def _windows(anchor: Ticket, willing: Sequence[Ticket], size: int) -> Iterator[Group]:
    """Yield the runs of neighbours by rating that hold the anchor."""
    ranked = sorted(willing, key=lambda t: (t.skill_rating, t.created_at, t.id))
    if anchor not in ranked:
        return
    at = ranked.index(anchor)
    for start in range(max(0, at - size + 1), min(at, len(ranked) - size) + 1):
        yield tuple(ranked[start : start + size])


def split(group: Group, mode: Mode) -> Teams:
    """Split a group into teams of the mode's size whose ratings are as equal as can be."""
    if mode.team_size == 1:
        return tuple((ticket,) for ticket in group)
    total = sum(ticket.skill_rating for ticket in group)
    teams = len(group) // mode.team_size
    first = min(
        # The first ticket is always in the first team, so that no split is looked at twice.
        ((group[0], *rest) for rest in combinations(group[1:], mode.team_size - 1)),
        key=lambda team: abs(sum(t.skill_rating for t in team) - total / teams),
    )
    rest = tuple(ticket for ticket in group if ticket not in first)
    return (first, rest) if teams <= 2 else (first, *split(rest, mode))  # noqa: PLR2004
