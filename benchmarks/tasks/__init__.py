"""What runs in the fresh process of a configuration; each task returns its metrics as plain numbers."""
