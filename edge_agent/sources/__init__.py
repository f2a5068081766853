"""Sources: where readings come from, one file each."""
