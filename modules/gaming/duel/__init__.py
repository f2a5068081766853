"""The game: tanks in fog on a grid with pillars, one action a turn, the last team wins. Pure."""
