"""The overview and a device's page."""

import pytest

from cloud.timeseries.memory import Memory
from cloud.timeseries.port import Latest, StoreAway
from tests.support.dashboard import (
    EVIL,
    Page,
    filled_store,
    render_device,
    render_home,
)
from tests.support.fake_context import FakeContext
from wire.ids import DeviceId, DeviceKey, TenantId

pytestmark = pytest.mark.anyio


class AwayStore(Memory):
    """A store that does not answer."""

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Refuse."""
        raise StoreAway("connection refused")


async def test_home_shows_the_site_at_a_glance() -> None:
    """The overview tells devices, readings, this machine, the fleet and how to connect."""
    ctx = FakeContext()

    page = Page(await render_home(await filled_store(ctx.clock.now_ms())))

    assert "Harbour works" in page.text
    assert "1\u202f284\u202f301" in page.text
    assert "4\u202f217 on their way" in page.text
    assert "This machine" in page.text
    assert "12.0 %" in page.text
    assert "3 s ago" in page.text
    assert "mosquitto_pub -m '{\"values\": {}}'" in page.text
    assert any(link.get("href") == "/api/v1/reports/r1.pdf" for link in page.all("a"))
    assert [row.get("data-device") for row in page.all("tr") if row.get("data-device")]


async def test_home_finds_a_device_by_a_part_of_its_name() -> None:
    """The search narrows the fleet, regardless of case."""
    found = Page(await render_home(Memory(), q="WORKB"))
    lost = Page(await render_home(Memory(), q="<nothing>"))

    assert len([row for row in found.all("tr") if row.get("data-device")]) == 1
    assert "No device has “<nothing>” in its name." in lost.text


async def test_home_survives_the_store_being_away() -> None:
    """While telemetry cannot be read the page says so and shows all the rest."""
    answer = await render_home(AwayStore())

    assert answer["status"] == 200
    assert "The telemetry store does not answer" in Page(answer).text


async def test_device_page_shows_values_ledger_and_alerts() -> None:
    """A device's page has a chart for each number, every value, the account and its alerts."""
    page = Page(await render_device(EVIL, range="6h"))

    (chart,) = [figure for figure in page.all("figure") if figure.get("class") == "chart"]
    assert chart["data-range-ms"] == "21600000"
    assert chart["data-step-ms"] == "30000"
    assert "80.00 % complete" in page.text
    assert "4\N{EN DASH}5" in page.text
    assert "21.50" in page.text
    live = page.all("body")[0]["data-live"]
    assert live is not None
    assert live.startswith("/live?device=plant%2F%3Cscript%3E")


async def test_unknown_device_is_a_page_with_404() -> None:
    """An address of no device answers with a page that leads back."""
    answer = await render_device(DeviceKey(TenantId("plant"), DeviceId("nobody")))

    assert answer["status"] == 404
    assert "No such device" in Page(answer).text
