"""Devices: what stands in for real ones."""
