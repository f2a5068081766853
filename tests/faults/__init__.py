"""Faults on real processes: what becomes of every message."""
