"""Commands of the cloud side; each module is one entry point of `tidegate`."""
