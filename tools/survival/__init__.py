"""Runs that are killed, starved and lied to, and what is left of their maps."""
