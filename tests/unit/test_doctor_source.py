"""What the doctor sees in a step's text without running it."""

from textwrap import dedent

import pytest

from tests.support.configs import api, event, surface
from tidegate.doctor.events import check_events
from tidegate.doctor.source import blocking_calls, emitted_topics, undefined_names


def _missing(text: str, *given: str) -> list[tuple[int, str]]:
    return [(spot.line, spot.name) for spot in undefined_names(dedent(text), given=given)]


def _blocking(text: str) -> list[tuple[int, str]]:
    return [(spot.line, spot.name) for spot in blocking_calls(dedent(text))]


def test_doctor_names_what_is_defined_nowhere() -> None:
    """A name that is used and bound nowhere is found with its first line."""
    text = """
    config = {"type": make_type()}
    async def handler(req, ctx):
        total = charge(req, rate)
        return charge(total)
    """

    assert _missing(text) == [(2, "make_type"), (4, "charge"), (4, "rate")]
    assert _missing(text, "charge", "rate", "make_type") == []


@pytest.mark.parametrize(
    "text",
    [
        "from shop import *\nasync def handler(req, ctx): return charge(req)",
        "import a.b as c\nfrom d import e\nasync def handler(): return c, e, __file__, print",
        "async def handler(req, ctx):\n    return [x for x in req if (y := x)], y",
        "def outer():\n    global made\n    made = 1\nasync def handler(): return made",
        "class A:\n    n = 1\n    def f(self): return A.n\nasync def handler(): return A",
        "async def handler(req):\n    def inner():\n        nonlocal req\n        req = 1",
        "try:\n    pass\nexcept OSError as exc:\n    print(exc)\nasync def handler(): ...",
        "from __future__ import annotations\nasync def handler(req: Unknown) -> Other: ...",
        "match 5:\n    case int(n): print(n)\nasync def handler(*args, **kw): return args, kw",
        "async def handler(req):\n    return later()\ndef later(): return lambda k, *a: (k, a)",
    ],
)
def test_doctor_takes_bound_names_for_what_they_are(text: str) -> None:
    """Imports, comprehensions, globals, classes, cells, and names bound later are no faults."""
    assert _missing(text) == []


def test_doctor_finds_calls_that_block() -> None:
    """Sleeping, files, processes and blocking clients in an `async def` are found by any name."""
    text = """
    import time as t, requests, subprocess, httpx
    from time import sleep
    async def handler(req, ctx):
        t.sleep(1); sleep(1)
        requests.get("x"); requests.Session()
        subprocess.run(["ls"])
        open("f")
        httpx.get("x")
    """

    assert _blocking(text) == [
        (5, "time.sleep"),
        (6, "requests.Session"),
        (6, "requests.get"),
        (7, "subprocess.run"),
        (8, "open"),
        (9, "httpx.get"),
    ]


def test_doctor_leaves_calls_alone_that_do_not_block() -> None:
    """Plain functions run in threads; own names and asynchronous clients are no fault."""
    text = """
    import anyio, httpx, time
    from requests.exceptions import Timeout
    def open(name): ...
    def work():
        time.sleep(1)
    def handler_of_another(req): time.sleep(1)
    async def handler(req, ctx):
        open("f")
        req.open("f")
        await ctx.run("w", lambda: time.sleep(1))
        async with httpx.AsyncClient(timeout=httpx.Timeout(5)) as client:
            await client.get("x")
        raise Timeout("x")
    """

    assert _blocking(text) == []


def test_doctor_reads_literal_topics() -> None:
    """Both forms of `emit` are read; a topic that is made up at run time is not."""
    text = """
    async def handler(req, ctx):
        await ctx.emit("a.b", 1)
        await ctx.emit({"topic": "c", "data": 2})
        await ctx.emit(f"d.{req}", 3)
        await ctx.emit()
    """

    assert emitted_topics(dedent(text)) == {"a.b", "c"}


def test_doctor_knows_topics_without_an_end() -> None:
    """Topics that nobody hears or emits are warned of; what a file emits literally counts."""
    steps = surface(
        api("Order", "/orders", emits=["order.placed", "order.lost"]),
        api("Free", "/free"),
        event("Pack", "order.placed", "free.*", "never", emits=[]),
    ).steps

    found = list(check_events(steps, {"Free": {"free.a", "gone"}}))

    assert [(finding.level, finding.found.split(",")[0]) for finding in found] == [
        ("warn", "'never'"),
        ("warn", "'order.lost'"),
        ("warn", "'gone'"),
    ]
    assert "(without a list may emit it: Free)" in found[0].found


def test_doctor_is_content_with_whole_ways() -> None:
    """When every topic has both ends, one line says so."""
    steps = surface(api("Order", "/o", emits=["a"]), event("Pack", "a", emits=[])).steps

    [finding] = check_events(steps, {})

    assert finding.level == "ok"
