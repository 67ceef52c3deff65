"""Composites and an inventory to trained weights."""
