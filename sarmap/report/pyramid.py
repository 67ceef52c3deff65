"""Tiles of a map at every zoom, written in one pass over strips of rows.

Each strip of full-size pixels is cut into tiles and halved; two halves make a strip of the next
coarser level, and so on: a cascade that holds one strip per level, whatever the map's size. What a
tile of probability shows is the highest value under each of its pixels, so that small landslides
do not fade as one zooms out; radar is the mean of what was seen.
"""

from __future__ import annotations

import base64
import io
import json
import math
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.draw.colours import display_bands
from sarmap.errors import RequestError
from sarmap.export.backscatter import to_decibels
from sarmap.report.strips import Rows
from sarmap.store.encoding import FILL
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr

    from sarmap.store.reading import MapReader

TILE = 512
"""Edge of a tile, pixels."""
_QUALITY = 72
_AHEAD = 64
"""Tiles that may wait to be encoded: bounds memory where reading is faster."""
Put = Callable[[str, bytes], None]
"""Takes a tile's name, without ending, and its bytes; called from several threads."""


def levels_of(rows: int, columns: int) -> int:
    """Zoom levels, so that the coarsest is a single tile.

    >>> levels_of(3842, 2346), levels_of(300, 200), levels_of(100_000, 1)
    (4, 1, 9)
    """
    return max(math.ceil(math.log2(max(rows, columns, 1) / TILE)), 0) + 1


@dataclass
class Pyramid:
    """Takes strips of a map from top to bottom, and puts the tiles of all levels."""

    shape: tuple[int, int]
    """Rows and columns of the map."""
    stretch: tuple[int, int]
    """Packed radar values drawn black and white."""
    put_value: Put
    """Where tiles of probability and observation go: base64 text."""
    put_image: Put
    """Where tiles of radar go: WebP."""
    pool: ThreadPoolExecutor
    """Threads that encode."""
    written: set[str] = field(default_factory=set)
    """Names of the tiles that hold anything."""
    _waiting: dict[int, list[Rows]] = field(default_factory=dict)
    _jobs: list[Future[None]] = field(default_factory=list)

    @property
    def levels(self) -> int:
        """Zoom levels; the last is full size."""
        return levels_of(*self.shape)

    def add(self, rows: Rows) -> None:
        """The next strip: `TILE` rows, or what is left of the map."""
        self._add(self.levels - 1, rows)

    def finish(self) -> None:
        """Write what is still waiting."""
        for level in range(self.levels - 1, -1, -1):
            self._flush(level)
        self._settle(0)

    def _add(self, level: int, rows: Rows) -> None:
        self._waiting.setdefault(level, []).append(rows)
        if sum(len(one.probability) for one in self._waiting[level]) >= TILE:
            self._flush(level)

    def _flush(self, level: int) -> None:
        waiting = self._waiting.pop(level, [])
        if not waiting:
            return
        rows = waiting[0] if len(waiting) == 1 else _joined(waiting)
        self._tiles(level, rows)
        if level:
            self._add(level - 1, _half(rows))

    def _tiles(self, level: int, rows: Rows) -> None:
        row = rows.top // TILE
        for column, left in enumerate(range(0, rows.probability.shape[1], TILE)):
            name = f"{level}/{row}/{column}"
            part = (slice(None), slice(left, left + TILE))
            values = rows.probability[part], rows.observation[part]
            if (values[0] != FILL).any() or (values[1] != Observation.NO_DATA).any():
                self._start(f"value/{name}", self._value, values)
            for band, image in rows.radar.items():
                if (image[part] != FILL).any():
                    self._start(f"{band}/{name}", self._image, image[part])

    def _start(self, name: str, write: Callable[[str, Any], None], pixels: Any) -> None:
        self.written.add(name)
        self._jobs.append(self.pool.submit(write, name, pixels))
        self._settle(_AHEAD)

    def _settle(self, left: int) -> None:
        """Wait until at most `left` tiles are still to be encoded; raises what one raised."""
        while len(self._jobs) > left:
            self._jobs.pop(0).result()

    def _value(self, name: str, values: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
        raw = b"".join(np.ascontiguousarray(one).tobytes() for one in values)
        self.put_value(name, base64.b64encode(zlib.compress(raw, 6)))

    def _image(self, name: str, packed: NDArray[np.uint8]) -> None:
        rows, columns = packed.shape
        filled = np.full((TILE, TILE), FILL, np.uint8)  # a browser stretches what is smaller
        filled[:rows, :columns] = packed
        self.put_image(name, webp_of(filled, self.stretch))


def webp_of(packed: NDArray[np.uint8], stretch: tuple[int, int]) -> bytes:
    """Packed radar as a grey WebP, see-through where there is no value."""
    from PIL import Image

    low, high = stretch
    table = np.clip((np.arange(256) - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    grey, seen = table[packed], packed != FILL
    whole = bool(seen.all())
    channels = [grey] * 3 if whole else [grey, grey, grey, np.where(seen, 255, 0).astype(np.uint8)]
    file = io.BytesIO()
    Image.fromarray(np.stack(channels, -1)).save(file, "WEBP", quality=_QUALITY, method=2)
    return file.getvalue()


def _joined(parts: list[Rows]) -> Rows:
    first = parts[0]
    return Rows(
        first.top,
        np.concatenate([one.probability for one in parts]),
        np.concatenate([one.observation for one in parts]),
        radar={band: np.concatenate([one.radar[band] for one in parts]) for band in first.radar},
    )


def _half(rows: Rows) -> Rows:
    return Rows(
        rows.top // 2,
        halved(rows.probability, "highest"),
        halved(rows.observation, "least seen"),
        radar={band: halved(image, "mean") for band, image in rows.radar.items()},
    )


def halved(values: NDArray[np.uint8], how: str) -> NDArray[np.uint8]:
    """Every square of four pixels as one; a last odd row or column stands for itself.

    `highest` and `mean` leave out 255; `least seen` is the code of most of the four, the higher of
    two that are as many.

    >>> import numpy as np
    >>> halved(np.array([[1, 255, 255], [3, 7, 255]], "uint8"), "highest")
    array([[  7, 255]], dtype=uint8)
    >>> halved(np.array([[1, 255, 255], [3, 8, 255]], "uint8"), "mean")
    array([[  4, 255]], dtype=uint8)
    >>> halved(np.array([[0, 3, 1], [0, 3, 0]], "uint8"), "least seen")
    array([[3, 1]], dtype=uint8)
    """
    rows, columns = values.shape
    padded = np.pad(values, ((0, rows % 2), (0, columns % 2)), mode="edge")
    four = [padded[y::2, x::2] for y in (0, 1) for x in (0, 1)]
    if how == "highest":  # one more turns 255 into 0, below every value, and back
        shifted = [one + np.uint8(1) for one in four]
        highest: NDArray[np.uint8] = np.maximum.reduce(shifted) - np.uint8(1)
        return highest
    if how == "least seen":
        return _most(four)
    seen = [one != FILL for one in four]
    number = sum(one.astype(np.uint16) for one in seen)
    total = sum(
        np.where(known, one, 0).astype(np.uint16) for one, known in zip(four, seen, strict=True)
    )
    mean = np.where(number > 0, total // np.maximum(number, 1), FILL)
    return np.asarray(mean, np.uint8)


def _most(four: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The commonest of four values, the higher of two that are as common: a sort, then a look."""
    a, b, c, d = np.sort(np.stack(four), axis=0)
    return np.asarray(np.where((c == d) | (b != c) & (a != b), d, np.where(b == c, b, a)), np.uint8)


# --- a map opened again ---------------------------------------------------------------------------


def shown_bands(reader: MapReader) -> tuple[str, ...]:
    """Radar bands that the page shows of a map: what its detector read before and after."""
    detector = reader.attrs.get("detector", "")
    bands = json.loads(detector).get("bands", []) if str(detector)[:1] == "{" else []
    shown = dict.fromkeys(display_bands([str(band) for band in bands])) if bands else {}
    return tuple(band for band in shown if band.startswith(("vv_", "vh_")))


def reopen_radar(reader: MapReader, catalog: Any) -> dict[str, xr.DataArray]:
    """Band -> lazy image in dB on the map's grid, from the very scenes the map names, in a
    catalogue as of `sarmap.MapRequest`.

    Raises RequestError where the map names no event or radar, or the catalogue has other scenes;
    CatalogError where it cannot be reached.
    """
    from sarmap.acquire.cube import open_cube
    from sarmap.acquire.search import search_passes

    made, bands = reader.provenance, shown_bands(reader)
    if made.event is None or not bands:
        raise RequestError("The map names no event or no radar, so its scenes cannot be found.")
    roles = {band: band[3:] for band in bands}
    passes = search_passes(
        reader.grid,
        made.event,
        catalog=catalog,
        orbit=made.orbits[0] if made.orbits else None,  # type: ignore[arg-type]
        pre=max([1, *(_number(role) for role in roles.values() if role.startswith("pre"))]),
        post=max([1, *(_number(role) for role in roles.values() if role.startswith("post"))]),
    )
    found = {item.id for one in passes for item in one.items if one.role in roles.values()}
    wanted = {
        str(scene.get("id"))
        for scene in made.scenes
        if scene.get("role") in roles.values() and scene.get("orbit_state") == made.orbits[0]
    }
    if found != wanted:
        raise RequestError(
            f"The catalogue has other scenes than the map was made from ({len(found & wanted)} of "
            f"{len(wanted)} agree)."
        )
    kinds = tuple(dict.fromkeys(band[:2] for band in bands))
    cube = open_cube(passes, reader.grid, bands=kinds, chunk=TILE)
    held = [str(role) for role in cube["role"].values]
    images = {}
    for band, role in roles.items():
        power = cube[band[:2]].isel(time=held.index(role))
        images[band] = xr.apply_ufunc(
            to_decibels, power, kwargs={"scaling": "power"}, dask="parallelized",
            output_dtypes=[np.float32],
        )  # fmt: skip
    return images


def _number(role: str) -> int:
    """Which pass of its kind: 1 for 'pre' and 'post_1', 2 for 'pre_2'."""
    return int(role.rpartition("_")[2]) if "_" in role else 1
