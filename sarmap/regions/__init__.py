"""A region of any size: work units on fixed lattices, one resumable map each, one collection."""
