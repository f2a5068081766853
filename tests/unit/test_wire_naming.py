"""Which tags stand in a metric's name."""

import pytest

from wire.codecs.line.naming import TELEGRAF, suffix_of, tag_rules
from wire.errors import Malformed


def test_naming_rules_that_ship_can_be_read() -> None:
    """The measurements that every Telegraf sends have their rule."""
    expected = {"cpu": ("cpu",), "disk": ("path",), "diskio": ("name",), "net": ("interface",)}

    assert {name: TELEGRAF[name] for name in expected} == expected


def test_naming_suffix_follows_the_rule() -> None:
    """The rule's order counts, not the line's; absent tags are left out."""
    tags = {"chip": "k10", "host": "a", "feature": "temp1"}

    assert suffix_of(("feature", "chip"), tags) == "{feature=temp1,chip=k10}"
    assert suffix_of(("chip", "nothing"), tags) == "{chip=k10}"
    assert suffix_of(("nothing",), tags) == ""


@pytest.mark.parametrize("toml", ["[tags", "tags = 1", "[tags]\ncpu = 1", "[tags]\ncpu = [1]", ""])
def test_naming_rules_that_are_none_are_refused(toml: str) -> None:
    """Whoever writes a file learns what is wrong with it."""
    with pytest.raises(Malformed):
        tag_rules(toml)
