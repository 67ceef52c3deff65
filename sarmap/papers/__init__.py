"""The two papers' tables, made anew on simulated events and laid beside the papers' own figures."""
