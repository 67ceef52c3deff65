"""Composites to landslide probability, tile by tile."""
