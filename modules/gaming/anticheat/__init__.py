"""Anti-cheat: features of how a player plays, detectors over them, and what they add up to."""
