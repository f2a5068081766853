"""The fuzzer runs, finds nothing in the formats that are shipped, and would find something."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.decoding import DECODERS
from wire.codecs.formats import Format
from wire.errors import Malformed
from wire.ids import metric_name
from wire.messages import Decoded, Reading

_ROOT = Path(__file__).parents[2]
fuzz = pytest.importorskip("scripts.fuzz", reason="atheris is not installed", exc_type=ImportError)


def _reading(value: Any, ts_ms: Any = None) -> Any:
    return Reading({metric_name("a"): value}, ts_ms)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(form.name for form in DECODERS))
def test_fuzz_finds_nothing(name: str, tmp_path: Path) -> None:
    """A few seconds for each format, from the recorded payloads on."""
    command = [sys.executable, "-m", "scripts.fuzz", name, "--seconds", "2"]

    done = subprocess.run(
        [*command, "--corpus", str(tmp_path)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert executed is not None
    assert int(executed.group(1)) > 100


@pytest.mark.parametrize(
    "decode",
    [
        lambda payload: Decoded([payload[9]]),
        lambda payload: Decoded([_reading(1.0)] * (len(payload) + 2)),
        lambda _payload: Decoded([_reading(float("nan"))]),
        lambda _payload: Decoded([_reading(1.0, 1.5)]),
    ],
)
def test_fuzz_would_find_a_fault(decode: Callable[[bytes], Decoded]) -> None:
    """Another exception, too many readings, and values that are none are faults."""
    run = fuzz.target(Format("faulty", decode))

    with pytest.raises((IndexError, AssertionError, Malformed)):
        run(b"xy")
