"""Write docs/reference from the code: settings, commands, steps, their contract, events.

    python -m scripts.reference [--check]

`--check` writes nothing and ends with code 1 when a page differs from the code.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.pages import commands, events, settings, step_config, steps

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
_NOTE = "<!-- Made by `make docs` from the code: edit that, not this. -->"
_PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "settings.md": settings.cloud_page,
    "agent-settings.md": settings.agent_page,
    "commands.md": commands.page,
    "steps.md": steps.page,
    "step-config.md": step_config.page,
    "events.md": events.page,
}


def pages() -> dict[str, str]:
    """Return each page's text by its file name."""
    return {name: "\n".join([_NOTE, "", *page()]).rstrip() + "\n" for name, page in _PAGES.items()}


def outdated() -> list[str]:
    """Return the names of the pages that differ from the code."""
    return [name for name, text in pages().items() if _read(FOLDER / name) != text]


def main() -> int:
    """Write the pages, or compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    if parser.parse_args().check:
        stale = outdated()
        if stale:
            print(f"docs/reference is out of date ({', '.join(stale)}): run `make docs`")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")
    return 0


def _read(file: Path) -> str:
    return file.read_text("utf-8") if file.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
