"""The numbers of a node's messages: what is missing, and what is not."""

from hypothesis import given, settings
from hypothesis import strategies as st

from wire.sparkplug.sequence import Sequence

_STEPS = st.lists(st.integers(1, 20), min_size=1, max_size=400)


@settings(deadline=None)
@given(_STEPS)
def test_sequence_misses_exactly_what_was_left_out(steps: list[int]) -> None:
    """Each step is a message; steps of more than 1 leave messages out, which never come."""
    sequence, seq, lost = Sequence(), 0, 0
    sequence.begin(0, 0)

    for index, step in enumerate(steps, start=1):
        seq = (seq + step) % 256
        assert sequence.take(seq, index, is_redelivery=False, now_ms=0)
        lost += step - 1

    assert sequence.is_whole == (lost == 0)
    assert sequence.give_up() == lost
    assert sequence.is_whole


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=300), st.randoms())
def test_sequence_shuffled_within_the_window_is_whole(delays: list[int], rng: object) -> None:
    """Whatever comes late by less than the window: nothing is missing in the end."""
    arrivals = sorted(range(len(delays)), key=lambda index: (index + delays[index], index))
    sequence = Sequence(0)

    taken = [sequence.take(index % 256, index, is_redelivery=False, now_ms=0) for index in arrivals]

    assert all(taken)
    assert sequence.is_whole
