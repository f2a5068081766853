"""Order, draw, list and fetch reports."""
