"""What the intake makes of formats and topics that are not our own."""

import gzip
from pathlib import Path

import pytest

from cloud.ingest.intake.intake import Intake
from cloud.settings import Ingest as Settings
from cloud.settings import Limits, Topic
from tests.support.ingestion import Blank
from tests.support.intakes import (
    NOW_MS,
    PUMP,
    chunk_of,
    fates_of,
    filled,
    new_intake,
    reading_of,
)
from wire.codecs.formats import Format, Formats
from wire.errors import Malformed
from wire.ids import metric_name
from wire.messages import Decoded, Reading


def test_intake_takes_topics_that_are_not_ours_by_rule() -> None:
    """A rule says whose a topic is and what its payloads are; other topics stay foreign."""
    rule = Topic(topic="tele/{device}/SENSOR", tenant="acme", format="tidegate")
    settings = Settings(topics=[rule])

    batch = filled(
        chunk_of(reading_of(1), topic=b"tele/pump/SENSOR"),
        chunk_of(reading_of(1), topic=b"tele/pump/STATE"),
        chunk_of(reading_of(2)),
        settings=settings,
    )

    assert fates_of(batch) == (2, 0, 0, 0)
    assert batch.foreign == 1


def test_intake_reads_bare_values_by_what_their_topic_says() -> None:
    """The levels that a rule leaves to `#`, and its other names, reach the format."""
    rule = Topic(topic="shellies/{device}/#", tenant="acme", format="shelly")

    batch = filled(
        chunk_of(b"12.5", topic=b"shellies/pump/relay/0/power"),
        chunk_of(b"on", topic=b"shellies/pump/relay/0"),
        chunk_of(b"true", topic=b"shellies/pump/online"),
        chunk_of(b"?", topic=b"shellies/pump/relay/0"),
        settings=Settings(topics=[rule]),
    )

    assert [key.metric for key in batch.points.series] == ["relay:0.power_w", "relay:0"]
    assert batch.points.values == [12.5, True]
    assert fates_of(batch) == (2, 0, 1, 1)


def test_intake_refuses_a_rule_whose_topic_lacks_a_name(tmp_path: Path) -> None:
    """A mapping that names metrics after a level of the topic needs that level in the rule."""
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n[[metrics]]\npath = ""\nname = "{what}"\n')
    good, bad = (
        Topic(topic=topic, tenant="acme", format="mine")
        for topic in ("x/{device}/{what}", "x/{device}/+")
    )

    batch = filled(
        chunk_of(b"7", topic=b"x/pump/power"), settings=Settings(topics=[good], mappings=[file])
    )

    assert [key.metric for key in batch.points.series] == ["power"]
    with pytest.raises(Malformed, match="needs a topic with"):
        new_intake(Settings(topics=[bad], mappings=[file]))


def test_intake_reads_packed_payloads() -> None:
    """What is packed is one payload; what cannot be unpacked is dead with its own bytes."""
    packed = gzip.compress(reading_of(1))

    batch = filled(chunk_of(packed, packed[:-1]))

    assert fates_of(batch) == (1, 0, 1, 0)
    assert batch.entry.letters[0].payload == packed[:-1]
    assert "cut off" in batch.entry.letters[0].reason


def test_intake_decodes_by_content_type() -> None:
    """Without a rule the sender's content type names the format; letters keep it."""
    other = Format("other", _other, ("application/x-other",))
    intake = Intake(Blank(), Settings(), Formats([other]))
    chunk = chunk_of(b"21", b"junk", reading_of(1))
    chunk.messages.content_types.update({0: "application/x-other", 1: "application/x-other"})

    batch = filled(chunk, intake=intake)

    assert fates_of(batch) == (2, 0, 1, 0)
    assert [letter.content_type for letter in batch.entry.letters] == ["application/x-other"]


def test_intake_counts_back_from_the_arrival() -> None:
    """A device without a clock says how old a reading is; one of the far future is refused."""
    aged = Format("aged", _aged, ("application/x-aged",))
    intake = Intake(Blank(), Settings(), Formats([aged]))
    chunk = chunk_of(b"5000", b"0", b"-600000", b"-600001", str(NOW_MS + 1).encode())
    chunk.messages.content_types.update(dict.fromkeys(range(5), "application/x-aged"))

    batch = filled(chunk, intake=intake)

    assert batch.points.ts_ms == [NOW_MS - 5_000, NOW_MS, NOW_MS + 600_000]
    assert fates_of(batch) == (3, 0, 2, 0)
    assert ["future" in letter.reason for letter in batch.entry.letters] == [True, False]


def test_intake_filters_a_message_without_a_reading() -> None:
    """It was understood and holds nothing to store: that is its fate."""
    empty = Format("empty", lambda _payload: Decoded([]), ("application/x-empty",))
    intake = Intake(Blank(), Settings(), Formats([empty]))
    chunk = chunk_of(b"x", b"x")
    chunk.messages.content_types.update(dict.fromkeys(range(2), "application/x-empty"))

    batch = filled(chunk, intake=intake)

    assert fates_of(batch) == (0, 0, 0, 2)
    assert batch.readings == 2


def _aged(payload: bytes) -> Decoded:
    return Decoded([Reading({metric_name("t"): 1.0}, age_ms=int(payload))])


def _other(payload: bytes) -> Decoded:
    if not payload.isdigit():
        raise Malformed("no number")
    return Decoded([Reading({metric_name("t"): float(payload)})])


def test_intake_keeps_lines_apart_that_differ_in_tags_or_nanoseconds() -> None:
    """Equal series and milliseconds have different orders, the same ones each time."""
    lines = b"m,a=1 f=1 1000001\nm,a=2 f=2 1000001\nm,a=1 f=3 1000002\nm f=4 1000000"
    rule = Topic(topic="lines/{tenant}/{device}", format="line-protocol")
    settings = Settings(topics=[rule], limits=Limits(max_past_days=100_000))
    topic = b"lines/acme/pump"

    batch, again = (filled(chunk_of(lines, topic=topic), settings=settings) for _ in range(2))

    assert set(batch.points.series) == {(*PUMP, "m.f")}
    assert set(batch.points.ts_ms) == {1}
    assert len(set(batch.points.order)) == 4
    assert batch.points.order == again.points.order
    assert batch.points.order[3] == 0
