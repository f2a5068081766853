"""A shop: carts, orders, payments, recommendations."""
