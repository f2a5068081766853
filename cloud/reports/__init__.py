"""PDF reports of a period: read, summarise, draw, typeset.

Nothing here imports the PDF libraries until a report is drawn, and that happens in a process
of its own (`tidegate.printing`): everything else runs without them.
"""
