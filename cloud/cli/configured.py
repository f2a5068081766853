"""Settings as every command reads them: file, environment, then the command's own options."""

from pathlib import Path

import msgspec

from cloud.settings import Settings
from tidegate.configuration import load

DEFAULT_FILE = Path("tidegate.toml")


def read_settings(config: Path | None, data: Path | None = None) -> Settings:
    """Read the settings; without `config` a `tidegate.toml` in this folder is used if there.

    Raises:
        Misconfigured: what the user must correct.
    """
    file = config or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    settings = load(Settings, file)
    return msgspec.structs.replace(settings, data=data) if data else settings
