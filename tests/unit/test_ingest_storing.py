"""What a store refuses: only the messages that hold it become dead letters."""
