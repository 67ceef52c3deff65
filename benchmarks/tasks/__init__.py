"""What runs in the fresh process of a configuration; a task returns its metrics as numbers."""
