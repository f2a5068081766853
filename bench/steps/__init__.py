"""Steps against their peers, in one run: chains of durable steps, HTTP, growth, one hot key."""
