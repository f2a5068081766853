"""What goes wrong before and beside a run: checks that say what to do."""
