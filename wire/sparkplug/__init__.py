"""Sparkplug B as its host application sees it: topics, births, sessions. Pure."""
