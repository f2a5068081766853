"""The fleet's steps."""
