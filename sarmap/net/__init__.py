"""The web as sarmap reaches it: guarded addresses, bounded patience, late signatures, counts."""
