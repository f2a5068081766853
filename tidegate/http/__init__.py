"""Api steps over HTTP: routing, middleware, validation, answers, limits."""
