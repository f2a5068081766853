"""The JavaScript client in a real browser, against a real server."""

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.support.ports import unused_port
from tests.support.stream_log import MemoryLog, change
from tidegate.http.server import bind, make_app, serve
from tidegate.http.streams import CLIENT, stream_routes
from tidegate.store.model import StreamChange
from tidegate.streams.hub import Hub

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
WAIT_S = 40
PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
import { connect } from "/streams.js";
const statuses = [];
const events = [];
let writes = Promise.resolve();
function report(stream, frame) {
  const seen = { seq: stream.seq, values: [...stream.values], type: frame.type, events, statuses };
  const body = JSON.stringify(seen);
  writes = writes.then(() => fetch("/seen", { method: "POST", body }));
}
const query = new URLSearchParams(location.search);
const stream = connect("/api/v1/streams/game%3A42/b%2Fc", {
  transport: query.get("transport"),
  token: query.get("token") && (async () => query.get("token")),
  onChange: (values, frame) => {
    if (stream) report(stream, frame);
    else queueMicrotask(() => report(stream, frame));
    if (frame.id === "boom") throw new Error("a page's mistake");
  },
  onEvent: (frame) => { events.push(frame.data); report(stream, frame); },
  onStatus: (status) => { statuses.push(status); },
});
</script>"""


class Site:
    """A page that follows a stream and tells what it sees."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.hub = Hub(self.log)
        self.port = unused_port()
        self.seen: list[dict[str, Any]] = []
        self.refuse_upgrades = False
        self.token: str | None = None
        self.asked: list[str] = []

    async def allow(
        self,
        headers: Mapping[str, str],
        cookies: Mapping[str, str],
        query: Mapping[str, str],
        name: str,
        group: str,
    ) -> int:
        """Let in who has the page's cookie."""
        is_socket = headers.get("upgrade") == "websocket"
        self.asked.append(f"{'ws' if is_socket else 'sse'} {query.get('after', '')}".strip())
        if is_socket and self.refuse_upgrades:
            return 403
        if self.token is not None:
            return 200 if headers.get("authorization") == f"Bearer {self.token}" else 401
        return 200 if cookies.get("session") == "secret" else 401

    def routes(self) -> list[Any]:
        """Return the page, what it reports to, and the streams."""

        async def page(_request: Request) -> Response:
            return HTMLResponse(PAGE, headers={"Set-Cookie": "session=secret; HttpOnly"})

        async def seen(request: Request) -> Response:
            self.seen.append(msgspec.json.decode(await request.body()))
            return Response(status_code=204)

        streams = stream_routes(self.hub, msgspec.json.decode, self.allow)
        return [Route("/", page), Route("/seen", seen, methods=["POST"]), *streams]

    def write(self, *changes: StreamChange) -> None:
        """Commit and publish."""
        self.hub.publish(self.log.commit(*changes))

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Serve while the context is open."""
        with bind("127.0.0.1", self.port) as listener:
            async with serve(make_app(self.routes()), listener):
                yield

    async def sees(self, seq: int) -> dict[str, Any]:
        """Wait until the page has seen a number; return what it knows then."""
        with anyio.fail_after(WAIT_S):
            while not self.seen or self.seen[-1]["seq"] < seq:  # noqa: ASYNC110
                await anyio.sleep(0.05)
        return self.seen[-1]


@asynccontextmanager
async def browser(url: str, profile: Path) -> AsyncIterator[None]:
    """Show a page in a browser without a window."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium is not installed")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command = [str(program), *options, f"--user-data-dir={profile}", "--no-first-run", url]
    async with await anyio.open_process(command, stdout=None, stderr=None) as process:
        try:
            yield
        finally:
            process.terminate()
            with anyio.move_on_after(5, shield=True) as patience:
                await process.wait()
            if patience.cancelled_caught:
                process.kill()


def _change(key: str | None, data: bytes | None, kind: Any = "set") -> StreamChange:
    return change(key, data, kind=kind, name="game:42", group="b/c")


@pytest.mark.parametrize("transport", ["auto", "sse"])
async def test_browser_follows_and_comes_back(tmp_path: Path, transport: str) -> None:
    """The page's Map is the stream's values; after a server's end it goes on at its number."""
    site = Site()
    site.write(_change("a", b"1"), _change("b", b"2"))
    kind = "ws" if transport == "auto" else "sse"

    async with browser(f"http://127.0.0.1:{site.port}/?transport={transport}", tmp_path):
        async with site.served():
            first = await site.sees(2)
            site.write(_change("boom", b"3"), _change("a", None, "delete"))
            site.write(_change(None, b'"hit"', "event"))
            later = await site.sees(5)
        site.write(_change("missed", b"4"), _change(None, b'"miss"', "event"))
        async with site.served():
            again = await site.sees(7)

    assert (first["type"], first["values"]) == ("snapshot", [["a", 1], ["b", 2]])
    assert later["values"] == [["b", 2], ["boom", 3]]
    assert again["values"] == [["b", 2], ["boom", 3], ["missed", 4]]
    assert again["events"] == ["hit", "miss"]
    assert [seen["type"] for seen in site.seen].count("snapshot") == 1
    assert site.asked[0] == kind
    assert site.asked[-1] in {"ws 5", "sse 5"}
    assert again["statuses"][:3] == ["connecting", "open", "waiting"]


async def test_browser_falls_back_to_events(tmp_path: Path) -> None:
    """Where no WebSocket gets through the client follows by server-sent events."""
    site = Site()
    site.refuse_upgrades = True
    site.write(_change("a", b"1"))

    async with site.served(), browser(f"http://127.0.0.1:{site.port}/?transport=auto", tmp_path):
        seen = await site.sees(1)

    assert seen["values"] == [["a", 1]]
    assert site.asked == ["ws", "sse"]


async def test_browser_follows_with_a_token(tmp_path: Path) -> None:
    """Where a token is needed instead of a cookie the client sends it, and opens no WebSocket."""
    site = Site()
    site.token = "an-access-token"
    site.write(_change("a", b"1"))
    url = f"http://127.0.0.1:{site.port}/?transport=auto&token={site.token}"

    async with site.served(), browser(url, tmp_path):
        seen = await site.sees(1)

    assert seen["values"] == [["a", 1]]
    assert site.asked == ["sse"]


async def test_node_follows_too(tmp_path: Path) -> None:
    """The client needs no browser: Node without a WebSocket follows by server-sent events."""
    node = shutil.which("node")
    if node is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("node is not installed")
    site = Site()
    site.token = "t"
    site.write(_change("a", '"\u00e9\u2028"'.encode()))
    script = tmp_path / "follow.mjs"
    script.write_text(f"""
import {{ connect }} from "{CLIENT}";
const stream = connect("http://127.0.0.1:{site.port}/api/v1/streams/game%3A42/b%2Fc", {{
  token: "t", transport: "sse",
  onChange: (values) => {{ console.log(JSON.stringify([...values])); stream.close(); }},
}});
""")

    async with site.served():
        with anyio.fail_after(WAIT_S):
            done = await anyio.run_process([str(node), str(script)])

    assert msgspec.json.decode(done.stdout) == [["a", "\u00e9\u2028"]]
