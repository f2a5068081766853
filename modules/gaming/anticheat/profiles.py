"""The feature vectors of a skill bracket: a fair sample of bounded size. Pure."""

from random import Random

import msgspec

MAX_PROFILES = 256
MAX_OF_ONE_PLAYER = 4

Vector = tuple[float, ...]


class Profile(msgspec.Struct, frozen=True):
    """How one player played in one session."""

    player: str
    vector: Vector


class Profiles(msgspec.Struct, frozen=True):
    """A reservoir: every session that was `seen` is in it with the same probability.

    No player has more than four in it, so that nobody makes himself the rule by playing much.
    """

    seen: int = 0
    kept: tuple[Profile, ...] = ()

    def vectors(self) -> tuple[Vector, ...]:
        """Return the vectors."""
        return tuple(profile.vector for profile in self.kept)

    def with_profile(self, profile: Profile, rng: Random) -> "Profiles":
        """Return the sample after one more session."""
        own = [i for i, kept in enumerate(self.kept) if kept.player == profile.player]
        if len(own) >= MAX_OF_ONE_PLAYER:
            return Profiles(self.seen, self._replaced(own[0], profile))
        seen = self.seen + 1
        if len(self.kept) < MAX_PROFILES:
            return Profiles(seen, (*self.kept, profile))
        place = rng.randrange(seen)
        if place >= MAX_PROFILES:
            return Profiles(seen, self.kept)
        return Profiles(seen, self._replaced(place, profile))

    def _replaced(self, place: int, profile: Profile) -> tuple[Profile, ...]:
        """Put the new one last, so that the first of a player is always his oldest."""
        return (*self.kept[:place], *self.kept[place + 1 :], profile)
