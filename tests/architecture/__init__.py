"""Tests of the house itself: what may import what, how it is laid out, what is documented."""
