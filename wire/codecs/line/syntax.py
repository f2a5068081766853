"""The parts of which a line of line protocol is made, as patterns. Pure.

A backslash, or a run of them, takes its meaning from what follows. Every pattern decides on one
character or is possessive: no text takes longer than its length.
"""

_ESCAPED = r"\\+[^\\\n]"
MEASUREMENT = rf"(?:[^, \\\n]++|{_ESCAPED})++"
NAME = rf"(?:[^, =\\\n]++|{_ESCAPED})++"
TAG_VALUE = rf"(?:[^, \\\n]|{_ESCAPED})(?:[^, =\\\n]++|{_ESCAPED})*+"
TEXT = r'"(?:[^"\\]++|\\[\S\s])*+"'
BARE = r"[^, \"\r\n]++"
BLANKS = r"[ \t\0]*+"
