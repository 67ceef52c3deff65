"""A simulated Iburi event as a whole STAC catalogue of COGs."""
