"""Handlers in processes of their own (`execution: "process"`): CPU-bound work off the event loop.

The parent keeps the transaction; the child asks for what its handler does with `ctx`. Both speak
frames over the child's standard input and output (`frames.py`).
"""
