"""Results to Zarr, COG, polygons, STAC item and picture."""
