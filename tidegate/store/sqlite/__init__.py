"""The embedded store: one SQLite file, whose one writer commits in groups."""
