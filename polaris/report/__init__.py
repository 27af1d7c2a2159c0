"""Numbers -> pages and cards."""
