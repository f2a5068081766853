"""What cannot be stored now, on this machine's disk: bounded, fsynced, drained in order."""
