"""A finished map as a page that opens offline in any browser."""
