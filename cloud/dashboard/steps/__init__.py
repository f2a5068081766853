"""Pages, forms and the live stream."""
