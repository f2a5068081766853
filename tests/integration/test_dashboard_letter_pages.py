"""The page of dead letters, and its replay button."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from cloud.dashboard.steps import (
    dead_letters_page_step,
    replay_by_form_step,
    replay_many_by_form_step,
)
from tests.support.dashboard import (
    SETTINGS,
    FakeLedger,
    Page,
)
from tests.support.fake_context import FakeContext
from tidegate.engine.schemas import Checker, InvalidData
from tidegate.errors import HTTPError
from tidegate.http.request import Request

pytestmark = pytest.mark.anyio


class FakeReplaying:
    """Takes letters, or refuses them with a status."""

    def __init__(self, refusal: int | None = None) -> None:
        self.refusal = refusal
        self.taken: list[str] = []

    async def replay_letter(self, letter_id: str) -> None:
        """Take a letter."""
        if self.refusal is not None:
            raise HTTPError(self.refusal, "not this one")
        self.taken.append(letter_id)

    async def replay_letters(
        self, *, tenant: str | None, device: str | None, reason: str | None, limit: int
    ) -> Any:
        """Take letters."""
        self.taken.append(f"{tenant} {device} {reason} {limit}")
        return SimpleNamespace(letters=1_200, refused=3, left=40)


async def test_dead_letters_are_narrowed_and_paged() -> None:
    """The ledger is asked for one device's letters, and the next page begins below the last."""
    ledger = FakeLedger()
    query: dict[str, Any] = {"tenant": "plant", "device": "pump", "reason": "old", "before": 99}

    answer = await dead_letters_page_step.handler(
        Request(query_params=query), FakeContext(), ledger=ledger, settings=SETTINGS
    )

    assert ledger.asked == ("plant", "pump", 99)
    assert ledger.reason == "old"
    links = [link.get("href") for link in Page(answer).all("a")]
    assert "/dead-letters?tenant=plant&device=pump&reason=old&before=17" in links
    assert "7 older letters" in Page(answer).text


@pytest.mark.parametrize("before", [0, -1, 2**63, 10**400])
def test_dead_letters_of_an_impossible_id_are_refused(before: int) -> None:
    """A number that no id can be is the caller's mistake (422), not ours."""
    with pytest.raises(InvalidData):
        Checker(dead_letters_page_step.config["queryParams"]).check({"before": before})


async def replay(letter_id: str, replaying: FakeReplaying) -> Any:
    """Press the replay button of a letter; return where it leads."""
    answer = await replay_by_form_step.handler(
        Request(path_params={"id": letter_id}), FakeContext(), replaying=replaying
    )
    return answer["headers"]["Location"]


@pytest.mark.parametrize(
    ("refusal", "told"), [(None, "replayed"), (404, "gone"), (409, "busy"), (422, "refused")]
)
async def test_replay_button_tells_on_the_list_how_it_went(refusal: int | None, told: str) -> None:
    """A letter goes through ingestion once; why it did not is told where the person came from."""
    replaying = FakeReplaying(refusal)

    location = await replay("17", replaying)
    page = Page(
        await dead_letters_page_step.handler(
            Request(query_params={"done": told}),
            FakeContext(),
            ledger=FakeLedger(),
            settings=SETTINGS,
        )
    )

    assert location == f"/dead-letters?done={told}"
    assert "letter" in next(p.text for p in [page] if page.all("p"))
    assert replaying.taken == ([] if refusal else ["17"])


async def test_replay_button_takes_what_the_list_shows() -> None:
    """The filter goes along, and the list says how it went and how many are left."""
    replaying = FakeReplaying()
    request = Request(body={"tenant": "plant", "device": "", "reason": "too old"})

    answer = await replay_many_by_form_step.handler(request, FakeContext(), replaying=replaying)
    location = answer["headers"]["Location"]
    query: dict[str, Any] = dict(parse_qsl(urlsplit(location).query))
    query |= {name: int(query[name]) for name in ("count", "refused", "left")}
    shown = await dead_letters_page_step.handler(
        Request(query_params=query), FakeContext(), ledger=FakeLedger(), settings=SETTINGS
    )

    assert replaying.taken == ["plant None too old 500"]
    assert "1,200 letters" in Page(shown).text
    assert "40 are left" in Page(shown).text


async def test_replay_button_does_not_hide_that_ingestion_is_away() -> None:
    """What is nobody's mistake and may pass is answered as what it is."""
    with pytest.raises(HTTPError) as away:
        await replay("17", FakeReplaying(503))

    assert away.value.status == 503
