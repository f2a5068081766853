"""Fakes and real servers for the tests; nothing here is part of the product."""
