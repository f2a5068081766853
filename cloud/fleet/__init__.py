"""The devices: which there are, what they log in with, and whether they are there."""
