"""Real servers on free ports."""
