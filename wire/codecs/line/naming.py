"""Names of metrics that come with tags: which tags belong to the name, and how they stand there.

`m.f` is field `f` of measurement `m`. Tags that a rule names for the measurement follow in
braces, in the rule's order: `cpu.usage_idle{cpu=cpu0}`. Pure.
"""

import re
import tomllib
from collections.abc import Mapping
from importlib import resources

from wire.errors import Malformed

TagRules = Mapping[str, tuple[str, ...]]

# What has a meaning inside the braces; written with a backslash in front.
_SYNTAX = re.compile(r"([\\,={}])")


def tag_rules(toml: str) -> TagRules:
    """Return measurement → tags from a TOML text with a table `[tags]`.

    Raises:
        Malformed: it is no such text; says what is wrong.
    """
    try:
        rules = tomllib.loads(toml).get("tags")
    except tomllib.TOMLDecodeError as exc:
        raise Malformed(f"naming rules are not TOML: {exc}") from exc
    if not isinstance(rules, dict):
        raise Malformed("naming rules need a table [tags]")
    for measurement, tags in rules.items():
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise Malformed(f"tags of {measurement!r} must be a list of names")
    return {measurement: tuple(tags) for measurement, tags in rules.items()}


def suffix_of(wanted: tuple[str, ...], tags: Mapping[str, str]) -> str:
    """Return what the wanted tags add to a metric's name; those that are absent are left out."""
    shown = [f"{_quoted(tag)}={_quoted(tags[tag])}" for tag in wanted if tag in tags]
    return "{" + ",".join(shown) + "}" if shown else ""


def _quoted(text: str) -> str:
    return _SYNTAX.sub(r"\\\1", text)


TELEGRAF = tag_rules((resources.files("wire.mappings") / "telegraf.toml").read_text("utf-8"))
