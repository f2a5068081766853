"""Characters that cannot be drawn."""

from tidegate.printing.glyphs import spell_out


def test_spell_out_writes_the_code_of_what_cannot_be_drawn() -> None:
    """What a font has stays; the rest can still be told apart; ASCII is not even asked for."""
    asked: list[str] = []

    def missing_in(characters: str) -> set[str]:
        asked.append(characters)
        return {"\u6c34"}

    text = spell_out("<p>\u6c34 20 \u00b0C \u6c34</p>", missing_in)

    assert text == "<p>[U+6C34] 20 \u00b0C [U+6C34]</p>"
    assert asked == ["\u00b0\u6c34"]
    assert spell_out("plain", missing_in) == "plain"
    assert len(asked) == 1
