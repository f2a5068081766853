"""What the pages load is there, ours or with its licence beside it; the stream is a stream."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from cloud.dashboard.assets import STATIC, static_mount
from cloud.dashboard.live import LiveHub
from cloud.dashboard.pages import TEMPLATES
from cloud.dashboard.steps import announce_alert_step, live_step
from tests.support.fake_context import FakeContext
from tidegate.definition.discovery import discover
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.events import AlertNotice

pytestmark = pytest.mark.anyio

STEPS = Path(live_step.__file__).parent


class FakePresence:
    """Nobody was heard."""

    def all(self) -> dict[Any, Any]:
        """Return nothing."""
        return {}


def test_every_loaded_file_exists() -> None:
    """Templates and modules name only files that are served."""
    html = "".join(path.read_text("utf-8") for path in TEMPLATES.glob("*.html"))
    linked = re.findall(r'(?:href|src)="/static/([^"]+)"', html)
    scripts = list(STATIC.glob("*.js"))
    imported = [
        name for path in scripts for name in re.findall(r'from "\./([^"]+)"', path.read_text())
    ]

    assert {"app.css", "app.js", "favicon.svg"} <= set(linked)
    assert [name for name in [*linked, *imported] if not (STATIC / name).is_file()] == []


def test_nothing_is_loaded_from_another_site() -> None:
    """Neither templates nor styles nor our scripts name a foreign address."""
    files = [*TEMPLATES.glob("*.html"), *STATIC.glob("*.css"), *STATIC.glob("*.js")]

    assert [path.name for path in files if re.search(r"https?://|@import", path.read_text())] == []


def test_vendored_code_has_its_licence_beside_it() -> None:
    """Each vendored folder names its version and holds the licence."""
    folders = [path for path in (STATIC / "vendor").iterdir() if path.is_dir()]

    assert [path.name for path in folders] == ["uplot-1.6.32"]
    for folder in folders:
        assert "MIT" in (folder / "LICENSE").read_text("utf-8")
        assert folder.name.rpartition("-")[2] in (folder / "uPlot.iife.min.js").read_text()[:100]


async def test_static_files_are_served_as_what_they_are() -> None:
    """Scripts have a script's type, cannot be sniffed, and nothing outside is served."""
    transport = httpx.ASGITransport(app=Starlette(routes=[static_mount()]))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        script = await client.get("/static/app.js")
        outside = await client.get("/static/%2e%2e/pages.py")

    assert script.status_code == 200
    assert "javascript" in script.headers["content-type"]
    assert script.headers["x-content-type-options"] == "nosniff"
    assert outside.status_code == 404


def test_every_step_is_discovered() -> None:
    """All step files load, and every page asks who is there."""
    found = discover([STEPS])
    open_to_all = {s.config.name for s in found.steps if s.config.type == "api"} - {
        s.config.name for s in found.steps if s.config.middleware
    }

    assert found.faults == []
    assert open_to_all == {"ShowLogin", "LogIn", "LogOut"}


async def test_live_step_streams_alerts_that_are_announced() -> None:
    """An open page gets the first frames at once and an alert when it fires."""
    hub = LiveHub(FakePresence())
    notice = AlertNotice(
        alert_id="a1",
        rule="hot",
        tenant="plant",
        device="pump",
        metric="flow",
        status="firing",
        severity="warning",
        summary="line\nbreak",
        started_at_ms=1,
    )
    req = Request(query_params={"device": "plant/pump"})

    answer = await live_step.handler(req, FakeContext(), live=hub)
    stream: AsyncIterator[str] = answer["body"]
    first = [await anext(stream), await anext(stream)]
    await announce_alert_step.handler(notice, FakeContext(), live=hub)

    assert answer["headers"]["Content-Type"].startswith("text/event-stream")
    assert first[0].startswith("retry:")
    assert first[1].startswith("event: points\n")
    frame = await anext(stream)
    assert frame.startswith("event: alert\ndata: {")
    assert frame.count("\n") == 3


@pytest.mark.parametrize("name", ["plant", "plant/", "/pump", "plant/a/b", "a b/\n"])
async def test_live_step_refuses_a_name_of_no_device(name: str) -> None:
    """A filter that cannot be a device is the caller's mistake."""
    with pytest.raises(HTTPError) as refused:
        await live_step.handler(
            Request(query_params={"device": name}), FakeContext(), live=LiveHub(FakePresence())
        )

    assert refused.value.status == 400
