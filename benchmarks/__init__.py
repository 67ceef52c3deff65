"""Benchmarks of sarmap, each beside its floor: see `benchmarks/README.md`."""
