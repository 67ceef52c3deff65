"""A detector that costs next to nothing, so that reading and writing show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MeanDetector"]


class MeanDetector:
    """The mean of the bands at each pixel and `halo` pixels to its left and right, cut to 0-1."""

    bands = ("vv_pre", "vv_post_1", "vv_post_2")
    kind = "pixel"
    scaling = "amplitude"

    def __init__(self, halo: int) -> None:
        self.halo = halo
        self.name = f"mean-{halo}"

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [1, y, x, band] to [1, y, x]; NaN where any value it looks at is missing."""
        centre = tiles[..., 0] + tiles[..., 1] + tiles[..., 2]
        if not self.halo:
            return np.clip(centre / 3, 0, 1)
        answer = np.full_like(centre, np.nan)
        inner = slice(self.halo, -self.halo)
        left, right = centre[:, inner, : -2 * self.halo], centre[:, inner, 2 * self.halo :]
        answer[:, inner, inner] = np.clip((centre[:, inner, inner] + left + right) / 9, 0, 1)
        return answer

    def __dask_tokenize__(self) -> tuple[str, int]:
        return ("MeanDetector", self.halo)
