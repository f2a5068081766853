"""The shared store: PostgreSQL, for several processes and machines.

Commits that wait at the same time go to the database as one statement (`writing.py`), reads as one
query (`reading.py`). While the database is away every method raises `StoreAway` within 20 s;
connections are made anew when it is back.
"""
