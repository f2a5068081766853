"""What a system says of itself: OpenAPI, AsyncAPI and pictures, from the configs of its steps."""
