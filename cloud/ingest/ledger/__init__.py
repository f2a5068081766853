"""What became of every reading, and what is known of each device between its messages."""
