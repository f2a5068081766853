"""The intervals of seen sequences behave as a plain set would."""

from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.ledger.spans import MAX_INTERVALS, Spans

_SEQS = st.lists(st.integers(1, 40), max_size=60)


@given(_SEQS)
def test_spans_are_a_set(seqs: list[int]) -> None:
    """In any order, with any repetition: what is in and what is missing."""
    spans, seen = Spans(), set[int]()

    for seq in seqs:
        assert spans.add(seq) is (seq not in seen)
        seen.add(seq)

    inside = {seq for start, stop in spans.intervals() for seq in range(start, stop + 1)}
    missing = {seq for start, stop in spans.missing() for seq in range(start, stop + 1)}
    assert inside == seen
    assert missing == set(range(1, max(seen, default=0))) - seen
    pairs = zip(spans.stops, spans.starts[1:], strict=False)
    assert all(stop + 1 < start for stop, start in pairs)


@given(_SEQS, st.integers(1, 40))
def test_spans_reach_never_passes_a_hole(seqs: list[int], first: int) -> None:
    """All from `first` to the reach is in, and the next one is not."""
    spans = Spans()
    for seq in seqs:
        spans.add(seq)
    spans.declare_first(first)

    reach = spans.reach()

    assert set(range(first, reach + 1)) <= set(seqs)
    assert reach + 1 not in seqs or reach + 1 < first


def test_spans_declared_first_never_goes_back() -> None:
    """A late message with an older `first` changes nothing."""
    spans = Spans([(5, 7)])

    spans.declare_first(5)
    spans.declare_first(2)

    assert spans.reach() == 7


def test_spans_bound_forgets_the_lowest_hole_and_loses_nothing() -> None:
    """Beyond the bound an old reading counts as new rather than being dropped."""
    spans = Spans()

    for seq in range(1, 2 * MAX_INTERVALS + 3, 2):
        spans.add(seq)

    assert len(spans.intervals()) == MAX_INTERVALS
    assert spans.add(2) is True
    assert spans.add(4) is True
    assert spans.add(5) is False


def _with_closed_holes() -> Spans:
    """Return 1, 3, 5, ... with the holes at 2 and 4 closed, since there were too many."""
    spans = Spans()
    for seq in range(1, 2 * MAX_INTERVALS + 5, 2):
        spans.add(seq)
    assert spans.intervals()[:2] == [(1, 5), (7, 7)]
    return spans


def test_spans_reach_passes_no_hole_that_was_closed_for_room() -> None:
    """What may never have come is not acknowledged, also after a restart."""
    spans = _with_closed_holes()
    restarted = Spans(spans.intervals(), forgotten=spans.forgotten, closed=spans.closed)

    assert (spans.reach(), restarted.reach()) == (1, 1)


def test_spans_reach_stays_below_closed_holes_that_come() -> None:
    """Nobody knows any more which of them came; with the first of all it starts from there."""
    spans = _with_closed_holes()

    assert spans.add(2)
    assert spans.add(4)

    assert spans.reach() == 1
    spans.declare_first(4)
    assert spans.reach() == 3
    spans.declare_first(6)
    assert spans.reach() == 5
    spans.declare_first(7)
    assert spans.reach() == 7


def test_spans_of_a_file_that_names_no_closed_hole_are_not_trusted() -> None:
    """Earlier versions closed holes without a note of which."""
    assert Spans([(1, 9)], forgotten=5).reach() == 0
    assert Spans([(1, 9)], forgotten=5, declared_first=6).reach() == 9


def test_spans_sure_leaves_closed_holes_out() -> None:
    """What others are told came, came."""
    assert _with_closed_holes().sure()[:3] == [(1, 1), (5, 5), (7, 7)]
    assert Spans([(1, 9), (12, 12)]).sure() == [(1, 9), (12, 12)]
    assert Spans([(1, 9)], closed=3, forgotten=5).sure() == [(1, 2), (6, 9)]
