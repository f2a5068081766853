"""Run localstripe as `python -m` does, its one file in a folder of its own: `FOLDER ARGUMENT...`.

It writes its store to a fixed path at every change; two test runs, or two users, would share it.
"""

import builtins
import runpy
import sys
from pathlib import Path
from typing import Any

_FIXED = "/tmp/localstripe.pickle"


def main(folder: Path, arguments: list[str]) -> None:
    """Become localstripe, until killed."""
    real_open = builtins.open

    def moved(file: Any, *args: Any, **kwargs: Any) -> Any:
        return real_open(folder / "store.pickle" if file == _FIXED else file, *args, **kwargs)

    builtins.open = moved
    sys.argv = ["localstripe", *arguments]
    runpy.run_module("localstripe", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
