"""Products of a map: COG, polygons, points, STAC item and picture."""
