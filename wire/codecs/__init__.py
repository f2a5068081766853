"""Decoders and encoders of payloads, one file a format. Pure."""
