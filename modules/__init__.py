"""Business back ends on the step contract, each a folder; they do not know each other."""
