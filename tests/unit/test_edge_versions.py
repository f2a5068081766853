"""Which version of MQTT is tried next."""

from edge_agent.versions import Versions


def test_versions_remember_a_refusal() -> None:
    """A broker that said it does not speak version 5 is not asked again."""
    versions = Versions("auto")

    versions.refused()
    versions.ended()

    assert versions.current == "3.1.1"


def test_versions_return_to_5_after_a_suspicion() -> None:
    """A broker that was only mute once gets version 5 again at the next connection."""
    versions = Versions("auto")

    asked = [versions.current]
    versions.maybe_unknown()
    asked.append(versions.current)
    versions.ended()
    asked.append(versions.current)

    assert asked == ["5", "3.1.1", "5"]


def test_versions_alternate_while_nobody_answers() -> None:
    """A mute broker is asked with both versions in turn."""
    versions = Versions("auto")
    asked = []

    for _ in range(4):
        asked.append(versions.current)
        versions.maybe_unknown()

    assert asked == ["5", "3.1.1", "5", "3.1.1"]


def test_versions_keep_what_the_settings_say() -> None:
    """A version that was asked for is never changed."""
    versions = Versions("5")

    versions.refused()
    versions.maybe_unknown()

    assert versions.current == "5"
