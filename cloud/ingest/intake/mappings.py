"""The formats of an installation: those that come with us, and those of its own mapping files."""

from pathlib import Path

from cloud.settings import Ingest as Settings
from wire.codecs.formats import SHIPPED, Format, Formats, mapping_format
from wire.errors import Malformed


def formats_of(settings: Settings) -> Formats:
    """Read the mapping files that settings name.

    Raises:
        Malformed: a file cannot be read, is no mapping, or has the name of another format; the
            message names the file.
    """
    formats = SHIPPED
    for file in settings.mappings:
        try:
            formats = formats.extended([_format(file)])
        except Malformed as exc:
            raise Malformed(str(exc) if str(file) in str(exc) else f"{file}: {exc}") from exc
    return formats


def _format(file: Path) -> Format:
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise Malformed(f"{file}: {exc}") from exc
    return mapping_format(text, source=str(file))
