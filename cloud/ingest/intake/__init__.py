"""From messages to batches: whose they are, what they say, whether they are taken."""
