"""What the printing process bounds and answers, with functions that need no PDF library."""

import os
import sys
from io import BytesIO
from pathlib import Path

import anyio
import msgspec
import psutil
import pytest
from pypdf import PdfReader

from tidegate.printing.errors import PrintFailed, PrintUnavailable
from tidegate.printing.process import print_in_process
from tidegate.printing.style import Style

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

MEMORY_BYTES = 512 * 1024**2
SOURCE = """
import os, pathlib, sys, time
import msgspec

class Order(msgspec.Struct):
    name: str
    amount: int = 1

def echo(order: Order) -> bytes:
    print("a library prints", flush=True)
    os.write(1, b"another one, too")
    return f"{order.name} {order.amount} {os.environ['OPENBLAS_NUM_THREADS']}".encode()

def hoard(order: Order) -> bytes:
    return b"%d" % len(bytearray(order.amount))

def quit(order: Order) -> bytes:
    os._exit(9)

def sleep(order: Order) -> bytes:
    with pathlib.Path(order.name).open("a") as log:
        log.write("begun\\n")
    time.sleep(order.amount)
    with pathlib.Path(order.name).open("a") as log:
        log.write("ended\\n")
    return b""
"""


class Sent(msgspec.Struct, frozen=True):
    """What is sent to be printed."""

    name: str
    amount: int | str = 1


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module of targets where this process, and so the printing one, imports from."""
    (tmp_path / "targets.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("import a_package_that_is_not_there")
    (tmp_path / "no_pango.py").write_text("raise OSError('cannot load library')")
    monkeypatch.syspath_prepend(tmp_path)


async def printed(
    sent: Sent,
    target: str,
    *,
    timeout_s: float = 30,
    places: anyio.CapacityLimiter | None = None,
) -> bytes:
    """Print within the memory of these tests."""
    return await print_in_process(
        sent, target, timeout_s=timeout_s, memory_bytes=MEMORY_BYTES, places=places
    )


async def test_answer_is_what_the_function_returns_and_nothing_else() -> None:
    """It is given its own type, and what libraries print is no part of the PDF."""
    answer = await printed(Sent("one", 7), "targets:echo")

    assert answer == b"one 7 1"


@pytest.mark.parametrize(
    ("sent", "target", "says"),
    [
        (Sent("x", 2 * MEMORY_BYTES), "targets:hoard", "MemoryError"),
        (Sent("x"), "targets:quit", "exit code 9"),
        (Sent("x", "many"), "targets:echo", "Expected `int`, got `str`"),
        (Sent("x"), "targets:absent", "has no attribute 'absent'"),
    ],
)
async def test_process_that_fails_says_why(sent: Sent, target: str, says: str) -> None:
    """Too much memory, a sudden end, content of another type, a wrong name: one line each."""
    with pytest.raises(PrintFailed, match=says) as failed:
        await printed(sent, target)

    assert "\n" not in str(failed.value)


async def test_memory_within_the_bound_is_given() -> None:
    """The bound is the one asked for."""
    assert await printed(Sent("x", MEMORY_BYTES // 4), "targets:hoard") == b"134217728"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("broken:draw", r"a_package_that_is_not_there: pip install 'tidegate\[reports\]'"),
        ("no_pango:draw", "Pango: sudo apt-get install libpango-1.0-0"),
    ],
)
async def test_missing_library_is_told_with_the_command(target: str, says: str) -> None:
    """The operator acts, not who ordered the PDF."""
    with pytest.raises(PrintUnavailable, match=says):
        await printed(Sent("x"), target)


async def test_process_is_killed_at_its_timeout(tmp_path: Path) -> None:
    """Nothing goes on that nobody waits for."""
    before = psutil.Process().children()

    with pytest.raises(TimeoutError):
        await printed(Sent(str(tmp_path / "log"), 30), "targets:sleep", timeout_s=1.5)

    assert psutil.Process().children() == before


async def test_process_ends_itself_when_its_parent_cannot(tmp_path: Path) -> None:
    """Its alarm rings soon after the timeout, also when the parent was killed."""
    command = ["-m", "tidegate.printing.confined", "targets:sleep", "-4", str(MEMORY_BYTES)]
    content = msgspec.msgpack.encode(Sent(str(tmp_path / "log"), 30))

    done = await anyio.run_process(
        [sys.executable, *command],
        input=content,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )

    assert done.returncode == -14


async def test_places_bound_how_many_print_at_once(tmp_path: Path) -> None:
    """With one place the second begins when the first has ended."""
    places, log = anyio.CapacityLimiter(1), tmp_path / "log"

    async with anyio.create_task_group() as both:
        for _ in range(2):
            both.start_soon(_sleep, Sent(str(log), 1), places)

    assert log.read_text().split() == ["begun", "ended", "begun", "ended"]


async def _sleep(sent: Sent, places: anyio.CapacityLimiter) -> None:
    await printed(sent, "targets:sleep", places=places)


def test_style_gives_the_same_bytes_and_spells_out_what_has_no_glyph() -> None:
    """A private character becomes its code; time and chance leave no trace."""
    sheet = '@font-face { font-family: "DejaVu Sans"; src: url("asset:DejaVuSans.ttf"); }'
    page = "<html lang='en'><title>t</title><p>\ue000 pump</p></html>"

    first, again = (Style(sheet).pdf(page, identifier=b"0" * 16) for _ in range(2))

    assert first == again
    assert "[U+E000] pump" in PdfReader(BytesIO(first)).pages[0].extract_text()
