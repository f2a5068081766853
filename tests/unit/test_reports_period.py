"""The period of a report: what requests may ask for, and how it is written."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cloud.reports.errors import BadPeriod
from cloud.reports.period import (
    Period,
    Scope,
    parse_request,
    period_text,
)
from cloud.settings import zone_of
from tidegate.errors import Misconfigured

NOW_MS = round(datetime(2026, 10, 25, 12, tzinfo=UTC).timestamp() * 1000)
HOUR_MS = 3_600_000
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("body", "period"),
    [
        ({"last": "1h"}, Period(NOW_MS - HOUR_MS, NOW_MS)),
        ({"from": NOW_MS - 5, "to": NOW_MS}, Period(NOW_MS - 5, NOW_MS)),
        ({"from": str(NOW_MS - 5), "to": str(NOW_MS)}, Period(NOW_MS - 5, NOW_MS)),
        ({"from": "2026-10-25T12:00:00+01:00"}, Period(NOW_MS - HOUR_MS, NOW_MS)),
        (
            {"from": "2026-10-25T10:00:00.250Z", "to": "2026-10-25T11:00:00Z"},
            Period(NOW_MS - 2 * HOUR_MS + 250, NOW_MS - HOUR_MS),
        ),
    ],
)
def test_parse_request_reads_every_form_of_a_period(body: dict[str, Any], period: Period) -> None:
    """`last`, milliseconds as number or text, and RFC 3339 name the same instants."""
    found, scope = parse_request(body, NOW_MS)

    assert found == period
    assert scope == Scope()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (None, "must be an object"),
        ([], "must be an object"),
        ({}, 'give "from" and "to"'),
        ({"last": "1h", "from": 1}, "either"),
        ({"last": "soon"}, "such as"),
        ({"last": "0h"}, "such as"),
        ({"last": "999999w"}, "1970"),
        ({"last": "400d"}, "at most 366 days"),
        ({"from": NOW_MS, "to": NOW_MS}, 'before "to"'),
        ({"from": -1, "to": NOW_MS}, "1970"),
        ({"from": 0, "to": NOW_MS}, "at most"),
        ({"from": NOW_MS, "to": NOW_MS + 3 * 24 * HOUR_MS}, "ahead"),
        ({"from": True, "to": NOW_MS}, "Unix ms"),
        ({"from": 1.5, "to": NOW_MS}, "Unix ms"),
        ({"from": "2026-10-25T10:00:00", "to": NOW_MS}, "offset"),
        ({"from": "yesterday", "to": NOW_MS}, "RFC 3339"),
        ({"from": None, "to": NOW_MS}, "Unix ms"),
        ({"last": "1h", "zone": "UTC"}, "unknown field 'zone'"),
        ({"last": "1h", "device": 7}, "must be text"),
    ],
)
def test_parse_request_says_what_is_wrong(body: object, says: str) -> None:
    """A period that cannot be reported is refused with what to give instead."""
    with pytest.raises(BadPeriod, match=says):
        parse_request(body, NOW_MS)


def test_parse_request_reads_whose_data_is_meant() -> None:
    """Tenant and device narrow the report; an empty form field means all."""
    _, scope = parse_request({"last": "1d", "tenant": "acme", "device": ""}, NOW_MS)

    assert scope == Scope("acme", None)


def test_period_text_gives_each_end_its_own_offset() -> None:
    """Summer time ends within the period, so its ends differ in their offsets."""
    night = Period(NOW_MS - 24 * HOUR_MS, NOW_MS + 250)

    text = period_text(night, BERLIN)

    assert text == ("2026-10-24 14:00:00 UTC+02:00 \N{EN DASH} 2026-10-25 13:00:00.250 UTC+01:00")


@pytest.mark.parametrize("name", ["Mars/Base", "../../etc/passwd", ""])
def test_zone_of_names_the_setting_of_an_unknown_zone(name: str) -> None:
    """A wrong time zone is the operator's to correct."""
    with pytest.raises(Misconfigured, match=r"\[site\] timezone .* Europe/Berlin"):
        zone_of(name)
