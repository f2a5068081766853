"""What a server's answer to a write means, whatever its words repeat of what was sent."""

import pytest

from cloud.timeseries.servers.outcomes import Outcome, outcome_of, refuses_all

_CONFLICT = 'partial write: field type conflict: input field \\"%s\\" is type float'


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (204, "stored"),
        (400, "refused"),
        (422, "refused"),
        (401, "denied"),
        (404, "missing"),
        (413, "too_large"),
        (429, "busy"),
        (503, "busy"),
        (500, "failed"),
        (507, "failed"),
        (302, "odd"),
        (418, "odd"),
    ],
)
def test_outcome_goes_by_the_status(status: int, outcome: Outcome) -> None:
    """What is in no table is odd, or the server's own failure."""
    assert outcome_of(status) == outcome


@pytest.mark.parametrize(
    "body",
    [
        f'{{"error":"{_CONFLICT % "x"} dropped=5"}}\n',
        f'{{"code":"unprocessable entity","message":"failure: {_CONFLICT % "x"} dropped=7"}}',
        "partial write: points beyond retention policy dropped=5",
    ],
)
def test_refusal_of_all_is_known_by_the_number_at_its_end(body: str) -> None:
    """In the words of every version."""
    assert refuses_all(body.encode(), 5)
    assert not refuses_all(body.encode(), 8)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"error":"{_CONFLICT % "dropped=5"} dropped=1"}}\n',
        '{"error":"partial write: unable to parse \'x note=\\"dropped=5\\"\': bad dropped=0"}',
        '{"error":"unable to parse \'x dropped=5\': missing fields"}',
        f'{{"error":"{_CONFLICT % "dropped=5"}',
        "",
    ],
)
def test_refusal_does_not_believe_what_devices_say(body: str) -> None:
    """A metric or text that looks like the number costs no other line its place."""
    assert not refuses_all(body.encode(), 5)
