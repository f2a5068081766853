"""The shop's steps."""
