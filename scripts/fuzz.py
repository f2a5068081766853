"""Fuzz the decoder of a format with atheris (libFuzzer), guided by the coverage of `wire`.

    python -m scripts.fuzz FORMAT [--seconds 60] [--corpus DIR]

It starts from the recorded payloads in `tests/fixtures`. What makes the decoder raise anything
but `Malformed`, give a reading that is none, take longer than 5 s or more than 1 GB ends the run
with exit code 1 or more, and stands in a file `crash-…`, `timeout-…` or `oom-…` in the working
directory.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["wire"]):
    from scripts.decoding import DECODERS, bound_formats, check, recorded
    from wire.codecs.formats import Format
    from wire.errors import Malformed

_MAX_INPUT_BYTES = 4_096
_MEMORY_MB, _INPUT_TIMEOUT_S = 1_024, 5


def target(form: Format) -> Callable[[bytes], None]:
    """Return what the fuzzer calls: decode, and look at the result."""
    bound = bound_formats(form)

    def run(payload: bytes) -> None:
        for one in bound:
            one.identities(payload)
            try:
                decoded = one.decode(payload).by_reading()
            except Malformed:
                continue
            check(decoded, payload)

    return run


def main() -> int:
    """Fuzz until the time is over; return the exit code, libFuzzer's when it ran."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("format", choices=sorted(form.name for form in DECODERS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="keeps what was found, to start from next time")
    options = parser.parse_args()
    if options.corpus is None:
        # libFuzzer ends its process without a word: somebody has to stay and clear away.
        with tempfile.TemporaryDirectory(prefix="tidegate-fuzz-") as folder:
            again = [sys.executable, "-m", "scripts.fuzz", *sys.argv[1:], "--corpus", folder]
            return subprocess.run(again, check=False).returncode
    form = next(form for form in DECODERS if form.name == options.format)
    _fill(options.corpus, form)
    _fuzz(form, options.corpus, options.seconds)
    return 0


def _fill(corpus: Path, form: Format) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    for index, payload in enumerate(recorded(form)):
        (corpus / f"recorded-{index}").write_bytes(payload)


def _fuzz(form: Format, corpus: Path, seconds: int) -> None:
    flags = {
        "max_total_time": seconds,
        "max_len": _MAX_INPUT_BYTES,
        "timeout": _INPUT_TIMEOUT_S,
        "rss_limit_mb": _MEMORY_MB,
        "malloc_limit_mb": _MEMORY_MB,
        "print_final_stats": 1,
        "verbosity": 0,
    }
    arguments = [sys.argv[0], *(f"-{name}={value}" for name, value in flags.items()), str(corpus)]
    atheris.Setup(arguments, target(form))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
