"""The steps that read stored points."""
