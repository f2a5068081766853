"""Do what a newcomer does, from outside: `make smoke`.

A clean clone of the last commit in a new folder with an empty home, `make run`, then every
promise of the first page is tried. Ends with code 0 when all of them held, and otherwise at the
first that did not, with the end of the log. Downloads are cached only where PIP_CACHE_DIR says.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from scripts.newcomer.checks import CheckFailed
from scripts.newcomer.installation import Installation
from scripts.newcomer.receivers import MailReceiver, WebhookReceiver
from scripts.newcomer.story import first_visit, later_visits
from scripts.newcomer.visit import Visit

_LOG_LINES, _LINE_CHARS = 60, 600
_REPOSITORY = Path(__file__).resolve().parents[1]
_FAILURES = (
    CheckFailed,
    httpx.HTTPError,
    psutil.Error,
    subprocess.SubprocessError,
    OSError,
    ValueError,
    LookupError,
)


def main() -> int:
    """Run the smoke test; return the exit code."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="tidegate-smoke-"))
    installation = Installation(folder)
    started = time.monotonic()
    _say_what_is_left_out(options.repository)
    try:
        with WebhookReceiver() as webhooks, MailReceiver() as mails:
            visit = Visit(installation, webhooks, mails)
            first_visit(visit, options.repository)
            later_visits(visit)
    except _FAILURES as exc:
        _say_what_failed(exc, installation)
        return 1
    finally:
        installation.kill()
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"smoke: all of it held, {time.monotonic() - started:.0f} s")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repository", type=Path, default=_REPOSITORY, help="what to clone")
    parser.add_argument("--keep", action="store_true", help="keep the folder afterwards")
    return parser.parse_args()


def _say_what_is_left_out(repository: Path) -> None:
    changed = subprocess.run(
        ["git", "-C", str(repository), "status", "--porcelain"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    if changed:
        print(f"smoke: {len(changed)} files with uncommitted changes are not in this run")


def _say_what_failed(exc: BaseException, installation: Installation) -> None:
    print(f"\nsmoke: {exc or type(exc).__name__}\n\nThe end of the log:", file=sys.stderr)
    for line in installation.said().splitlines()[-_LOG_LINES:]:
        shown = line if len(line) <= _LINE_CHARS else f"{line[:100]} … {line[100 - _LINE_CHARS :]}"
        print(shown, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
