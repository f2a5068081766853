"""`python -m edge_agent`: the same as `tidegate edge`."""

from edge_agent.cli import app

if __name__ == "__main__":
    app()
