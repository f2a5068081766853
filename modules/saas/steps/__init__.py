"""Serve tenants' data, meter their calls, bill them."""
