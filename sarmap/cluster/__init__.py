"""Dask clusters: a client opened from one word or a file, and its workers made ready for a map."""
