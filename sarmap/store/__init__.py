"""The result store: Zarr written block by block, continued from its ledger, read strip by strip."""
