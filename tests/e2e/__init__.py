"""The whole platform, from the simulator to the page."""
