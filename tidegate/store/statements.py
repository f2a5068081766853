"""Named SQL statements out of `.sql` files: a statement follows its `-- name: x` line."""

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_statements(file: Path) -> dict[str, str]:
    """Return the file's statements by name."""
    parts = _NAME.split(file.read_text("utf-8"))
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
