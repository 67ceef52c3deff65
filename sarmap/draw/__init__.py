"""What every picture is made of: panels, map furniture, colours, rasters at picture size."""
