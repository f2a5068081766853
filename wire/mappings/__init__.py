"""The mapping files that come with us, one a kind of device. Part of the code: read at import."""

from importlib import resources


def shipped() -> dict[str, str]:
    """Return file name → text of every shipped mapping file."""
    return {
        file.name: file.read_text("utf-8")
        for file in sorted(resources.files(__name__).iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    }
