"""Streams: who follows a group of a stream is told every change of it, in order."""
