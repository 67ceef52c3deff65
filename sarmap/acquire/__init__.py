"""Place and time to lazy radar cube and terrain."""
