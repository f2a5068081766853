"""Dead letters that are replayed into the intake, and what a store refused of a batch."""

import anyio

from cloud.ingest.inbox import Replay, Reply
from tests.support.intakes import NOW_MS, chunk_of, fates_of, filled, new_intake, reading_of
from wire.messages import Refusal


def test_intake_replay_takes_only_what_was_refused() -> None:
    """A letter's readings move from dead to stored; its good ones are not taken twice."""
    intake = new_intake()
    payload = b'{"boot":"k","points":[{"seq":1,"values":{"t":1}},{"seq":2,"values":{"t":2}}]}'
    filled(chunk_of(payload), intake=intake)
    chunk = chunk_of(payload)
    chunk.replay = Replay(letter_id=7, readings=1, now_ms=NOW_MS, only=frozenset({1}))

    batch = filled(chunk, intake=intake)

    assert fates_of(batch) == (1, 0, -1, 0)
    assert batch.points.values == [2.0]
    assert batch.entry.closed_letters == [7]


def test_intake_replay_that_cannot_be_read_stays_as_dead_as_it_was() -> None:
    """The new letter stands for as many readings as the old one: the counts do not change."""
    chunk = chunk_of(b'{"points":[{"values":')
    chunk.replay = Replay(letter_id=7, readings=3, now_ms=NOW_MS, only=frozenset({5, 1, 2}))

    batch = filled(chunk)

    assert fates_of(batch) == (0, 0, 0, 0)
    (letter,) = batch.entry.letters
    assert (letter.readings, letter.only) == (3, [1, 2, 5])


def test_batch_rejected_messages_are_taken_out() -> None:
    """What the store refused is dead with its reason; the points of the others stay in order."""
    first = chunk_of(reading_of(1, value=1.0), reading_of(2, value=2.0))
    batch = filled(first, chunk_of(reading_of(3, value=3.0), reading_of(4, value=4.0)))

    batch.reject({1: "no", 2: "never"})

    assert batch.points.values == [1.0, 4.0]
    assert fates_of(batch) == (2, 0, 2, 0)
    reasons = [(letter.reason, letter.payload) for letter in batch.entry.letters]
    assert reasons == [("no", reading_of(2, value=2.0)), ("never", reading_of(3, value=3.0))]


def test_batch_rejected_readings_are_named_one_by_one() -> None:
    """Duplicates and readings refused earlier are no part of the letter, nor of the answer."""
    points = (
        '{"seq":1,"values":{"t":1}},{"seq":2,"values":{"t":null}},{"seq":3,"values":{"t":3}},'
        '{"seq":4,"ts":-1,"values":{"t":4}},{"seq":5,"values":{"t":5}},{"seq":6,"values":{"t":6}}'
    )
    chunk = chunk_of(f'{{"boot":"k","points":[{points}]}}'.encode())
    chunk.reply = reply = Reply(anyio.Event())
    batch = filled(chunk_of(reading_of(3)), chunk)

    batch.reject({1: "no"})

    assert fates_of(batch) == (1, 1, 5, 0)
    assert [letter.only for letter in batch.entry.letters] == [[1, 3], [0, 4, 5]]
    assert [letter.readings for letter in batch.entry.letters] == [2, 3]
    assert [one for one in reply.rejected if one.reason == "no"] == [
        Refusal(index, "no") for index in (0, 4, 5)
    ]
    assert reply.accepted == 1
