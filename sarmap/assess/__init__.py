"""How good a map is, against an inventory."""
