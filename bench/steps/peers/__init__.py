"""The peers: each does the same work as its own documentation advises for speed."""
