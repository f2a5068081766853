"""The pages on steps and their dead events: from a desk in memory, and from a running engine."""

from pathlib import Path
from typing import Any

import prometheus_client
import pytest

from cloud.dashboard.steps import (
    change_dead_events_step,
    dead_event_page_step,
    dead_events_page_step,
    steps_page_step,
)
from cloud.running_steps import RunningSteps
from cloud.settings import Settings, Site
from tests.support.dashboard import Page
from tests.support.fake_context import FakeContext
from tests.support.step_desk import FakeDesk, dead_event
from tidegate.engine.schemas import Checker, InvalidData
from tidegate.http.request import Request
from tidegate.testing import Harness

pytestmark = pytest.mark.anyio

SETTINGS = Settings(site=Site(name="Harbour works", timezone="Europe/Berlin"))
STEP = '''\
config = {
    "type": "event", "name": "PageCharge", "subscribes": ["page.placed"], "emits": [],
    "retry": {"attempts": 1},
}


async def handler(data, ctx):
    """Charge, unless the order is bad."""
    if not await ctx.state.get("orders", "all are good"):
        raise ValueError("card expired")
'''
CRON = """\
config = {
    "type": "cron", "name": "PageClose", "cron": "15 2 * * *", "timezone": "Europe/Berlin",
    "emits": [],
}


async def handler(ctx):
    pass
"""


async def show(of: Any, desk: Any, *, dead_id: str = "", **query: Any) -> dict[str, Any]:
    """Return the answer of a page."""
    request = Request(query_params=query, path_params={"id": dead_id})
    answer: dict[str, Any] = await of.handler(
        request, FakeContext(), step_desk=desk, settings=SETTINGS
    )
    return answer


async def press(desk: Any, fields: object) -> dict[str, Any]:
    """Return what the form answers."""
    form: Any = change_dead_events_step
    answer: dict[str, Any] = await form.handler(
        Request(body=fields), FakeContext(), step_desk=desk, settings=SETTINGS
    )
    return answer


def hidden_fields(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what the one form of a page about dead events sends without a button."""
    inputs = Page(answer).all("input")
    return {str(i["name"]): i["value"] for i in inputs if i.get("type") == "hidden"}


async def test_steps_page_tells_what_each_step_does() -> None:
    """What begins it, what follows, what waits, what became of it, and its dead events."""
    page = Page(await show(steps_page_step, FakeDesk(dead_event(1), dead_event(2, "Gone"))))

    links = [link.get("href") for link in page.all("a")]
    assert {"/steps/dead?step=Charge", "/steps/dead?step=Gone", "#step-Ship"} <= set(links)
    assert "POST /orders" in page.text
    assert "15 2 * * * Asia/Tokyo" in page.text
    assert "2026-01-31 13:00:00" in page.text
    assert "2 retried" in page.text
    assert "any topic" in page.text


async def test_steps_page_without_steps_says_so() -> None:
    """An empty platform has a page, too."""
    assert "No steps are loaded." in Page(await show(steps_page_step, FakeDesk(steps=()))).text


async def test_dead_events_show_all_that_is_known() -> None:
    """Error, attempts, time in the site's zone, payload and folded stack, and what to do."""
    page = Page(await show(dead_events_page_step, FakeDesk(dead_event(7))))

    assert "ValueError: no" in page.text
    assert "2026-01-31 13:00:00" in page.text
    assert '"order": 7' in page.text
    assert page.text.index("Stack") < page.text.index("Traceback: the frames")
    assert all("open" not in attributes for attributes in page.all("details"))
    assert {"redrive:7", "delete:7", "redrive:selected", "delete:selected"} <= {
        button.get("value") for button in page.all("button")
    }
    assert "redrive:all" not in page.html


async def test_dead_events_are_paged_and_narrowed() -> None:
    """A page holds 25; the next begins below the last, of the same step; all can be redriven."""
    desk = FakeDesk(*(dead_event(n) for n in range(1, 41)), dead_event(99, "Ship"))

    first = Page(await show(dead_events_page_step, desk, step="Charge"))
    second = Page(await show(dead_events_page_step, desk, step="Charge", before=16))

    links = [link.get("href") for link in first.all("a")]
    assert "/steps/dead?step=Charge&before=16" in links
    assert "/steps/dead/99" not in links
    assert "Redrive all 40 of Charge" in first.text
    assert "Older events" not in second.text
    assert "/steps/dead/15" in [link.get("href") for link in second.all("a")]


async def test_no_dead_events_is_good_news() -> None:
    """The list says that there are none, of all steps, of one, and below the last."""
    desk = FakeDesk()

    assert "Every event was handled" in Page(await show(dead_events_page_step, desk)).text
    of_one = Page(await show(dead_events_page_step, desk, step="Charge"))
    assert "Every event of Charge was handled" in of_one.text
    below = Page(await show(dead_events_page_step, desk, before=5))
    assert "None that are older." in below.text


async def test_payload_that_is_too_long_is_shown_alone() -> None:
    """The list leaves it out and leads to the page of the event."""
    desk = FakeDesk(dead_event(7, data=None, is_left_out=True, size_bytes=2_000_000))

    page = Page(await show(dead_events_page_step, desk))

    assert "Too long for the list." in page.text
    assert "Show more" in page.text


async def test_internal_and_unloaded_steps_are_marked() -> None:
    """The runtime's own have a mark and show no payload; so has what nobody runs here."""
    own = dead_event(7, "tidegate.waits", data={"k": "secret"})
    desk = FakeDesk(own, dead_event(8, "Gone", is_loaded=False))

    pages = [
        Page(await show(dead_events_page_step, desk)),
        Page(await show(dead_event_page_step, desk, dead_id="7")),
    ]

    assert "internal" in pages[0].text
    assert "not loaded" in pages[0].text
    assert not any("secret" in page.html for page in pages)


async def test_pages_say_that_the_store_is_away() -> None:
    """Each is a page with 503; the form leads back and promises nothing."""
    desk = FakeDesk(is_away=True)

    answers = [
        await show(page, desk, dead_id="7")
        for page in (steps_page_step, dead_events_page_step, dead_event_page_step)
    ]
    pressed = await press(desk, {"do": "delete:7", "sure": "yes"})

    assert [answer["status"] for answer in answers] == [503, 503, 503]
    assert all("store of the steps does not answer" in Page(a).text for a in answers)
    assert pressed["headers"]["Location"] == "/steps/dead?done=away"


@pytest.mark.parametrize("dead_id", ["8", "x", "-7", "0", "9" * 400, "\u0667"])
async def test_dead_event_that_is_none_is_a_page_with_404(dead_id: str) -> None:
    """An id of nothing, or that no event can have, answers with a page that leads back."""
    answer = await show(dead_event_page_step, FakeDesk(dead_event(7)), dead_id=dead_id)

    assert answer["status"] == 404
    assert "No such dead event" in Page(answer).text


@pytest.mark.parametrize("query", [{"before": 0}, {"before": 2**63}, {"step": "x" * 201}])
def test_list_of_an_impossible_place_is_refused(query: dict[str, object]) -> None:
    """What no id or step can be is the caller's mistake (422), not ours."""
    with pytest.raises(InvalidData):
        Checker(dead_events_page_step.config["queryParams"]).check(query)


@pytest.mark.parametrize("action", ["redrive", "delete"])
async def test_form_asks_before_it_does(action: str) -> None:
    """The first press changes nothing and names what is meant; the second does just that."""
    desk = FakeDesk(*(dead_event(n) for n in (1, 2, 3)))
    marked = {"do": f"{action}:selected", "dead-1": "on", "dead-3": "on", "step": "Charge"}

    asked = await press(desk, marked)
    untouched = not desk.redriven + desk.purged
    done = await press(desk, hidden_fields(asked))

    word, taken = ("redriven", desk.redriven) if action == "redrive" else ("deleted", desk.purged)
    assert untouched
    assert f"{action.capitalize()} 2 events?" in Page(asked).text
    assert sorted(taken) == [1, 3]
    path = f"/steps/dead?step=Charge&done={word}&count=2&gone=0"
    assert (done["status"], done["headers"]["Location"]) == (303, path)


async def test_form_takes_all_of_one_step_only() -> None:
    """All stands for all of the step that the list was narrowed to, however many pages."""
    desk = FakeDesk(*(dead_event(n) for n in range(1, 40)), dead_event(99, "Ship"))

    asked = await press(desk, {"do": "redrive:all", "step": "Charge"})
    await press(desk, hidden_fields(asked))

    assert "Redrive 39 events?" in Page(asked).text
    assert "And 29 more." in Page(asked).text
    assert sorted(desk.redriven) == list(range(1, 40))


@pytest.mark.parametrize("fields", [None, b"x", {}, {"do": "delete:selected", "sure": "yes"}])
async def test_form_that_selects_nothing_does_nothing(fields: object) -> None:
    """It leads back with a hint."""
    desk = FakeDesk(dead_event(7))

    answer = await press(desk, fields)

    assert answer["headers"]["Location"] == "/steps/dead?done=nothing"
    assert desk.purged == []


async def test_list_says_what_had_gone_meanwhile() -> None:
    """Who presses twice, or after another, is told so."""
    answer = await press(FakeDesk(dead_event(7)), {"do": "delete:selected", "dead-7": "on",
                                                   "dead-8": "on", "sure": "yes"})  # fmt: skip

    assert answer["headers"]["Location"].endswith("done=deleted&count=1&gone=1")
    page = await show(dead_events_page_step, FakeDesk(), done="deleted", count=1, gone=1)
    assert "1 event deleted. 1 event had gone meanwhile." in Page(page).text


async def test_pages_show_a_running_engine(tmp_path: Path) -> None:
    """Counts, waiting events, next times and dead events come from the engine; redrive heals."""
    (tmp_path / "charge_step.py").write_text(STEP)
    (tmp_path / "close_step.py").write_text(CRON)
    async with Harness(tmp_path) as h:
        desk = RunningSteps(h.engine, prometheus_client.REGISTRY)
        await h.emit("page.placed", {"order": 1, "raw": b"\xde\xad"})
        waiting = Page(await show(steps_page_step, desk))
        await h.drain()
        [dead] = await desk.dead(limit=9)
        listed = Page(await show(dead_events_page_step, desk, step="PageCharge"))
        alone = Page(await show(dead_event_page_step, desk, dead_id=str(dead.id)))
        after = Page(await show(steps_page_step, desk))
        await h.engine.transact(lambda ctx: ctx.state.set("orders", "all are good", True))
        asked = await press(desk, {"do": "redrive:all", "step": "PageCharge"})
        done = await press(desk, hidden_fields(asked))
        await h.drain()
        left, facts = await desk.dead_counts(), {one.config.name: one for one in await desk.steps()}

    assert "Events waiting1 " in " ".join(waiting.text.split())
    for page in (listed, alone):
        assert "ValueError: card expired" in page.text
        assert "<2 bytes: de ad>" in page.text
        assert "charge_step.py" in page.text
    assert "1 dead" in after.text
    assert done["headers"]["Location"].endswith("done=redriven&count=1&gone=0")
    assert left == {}
    assert facts["PageCharge"].outcomes["done"] == 1
    assert facts["PageCharge"].about == "Charge, unless the order is bad."
    assert facts["PageClose"].next_at is not None
