"""Ingestion's steps."""
