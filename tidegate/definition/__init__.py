"""What a step file says: found, loaded, its config checked and brought to one form."""
