"""Takes deliveries in: verifies each one and keeps every event exactly once."""
