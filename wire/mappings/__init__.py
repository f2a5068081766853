"""Rules for payloads of others that ship with Tidegate: one TOML file for each kind.

They are part of the code, and read when it is imported. Those of `shipped` are mapping files;
`telegraf.toml` says what metrics of line protocol are called.
"""

from importlib import resources

_MAPPINGS = ("shelly.toml", "tasmota.toml", "zigbee2mqtt.toml")


def shipped() -> dict[str, str]:
    """Return file name → text of every shipped mapping file."""
    folder = resources.files(__name__)
    return {name: (folder / name).read_text("utf-8") for name in _MAPPINGS}
