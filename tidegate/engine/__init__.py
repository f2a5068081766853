"""Runs steps: every invocation is one transaction over state, events and its input's end."""
