"""The physics of a drawn world as one value: what a radar sees of a place, and what landslides do.

Each field names its unit, the range that `Physics.draw` takes it from, and the source of the range.
Sources in short:

- *Sao Sebastiao*: measured on the change of OPERA RTC-S1 around the landslides of 18-19 February
  2023 (OPERA-Cal-Val/OPERA_Applications @ ef0b723): two thirds of the strong pixels darken in both
  polarisations, one third brightens, VH/VV 0.92, bright-dark pairs along the look.
- *OPERA sites*: series of 3 x 3 px at 59 labelled sites (OPERA-Cal-Val/dist-s1-validation-harness
  @ 63139fd): temporal scatter of quiet ground 1.8 dB (VV) and 2.1 dB (VH); fire and felling.
- *Sen12Landslides*: levels of patches over Hokkaido (VV -7.3 +- 2.1, VH -13.2 +- 1.9 dB) and
  Kaikoura (-9.9 +- 2.7, -16.0 +- 2.3).
- *IW*: Sentinel-1 product specification: resolution about 20 m, incidence 29-46 degrees in IW
  (20 degrees is where other beams begin), noise-equivalent level -22 dB and below.
- *wide*: no measurement known; taken wide so that no narrow choice is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from sarmap.errors import RequestError
from sarmap.simulate.drawing import FAMILIES, draw_fields, iburi_fields

__all__ = ["FAMILIES", "Physics"]


_POSSIBLE: dict[str, tuple[float, float]] = {
    "spacing": (1, 100),
    "looks": (1, 1000),
    "speckle_correlation": (0, 0.7),
    "incidence": (10, 60),
    "before": (1, 60),
    "after": (1, 60),
    "repeat": (1, 100),
    "gap": (0, 0.9),
    "shift_shared": (0, 1),
    "plain": (0, 0.9),
    "water": (0, 0.9),
    "canopy": (0, 80),
    "land_share": (0, 0.5),
    "area": (1, 1e7),
}
"""Least and most of fields that a world cannot be made beyond."""


@dataclass(frozen=True)
class Physics:
    """The law of a world; `draw`, `iburi`, or `dataclasses.replace` make one.

    Levels are gamma-nought in dB, in pairs (VV, VH).

    Examples
    --------
    >>> one, same = Physics.draw(7), Physics.draw(7)
    >>> one == same, Physics.draw(7, spacing=30.0, family="vh_only").mix
    (True, (0.0, 0.0, 0.0, 1.0))
    """

    # what the sensor and the maker of the product do
    spacing: float
    """Pixel edge, metres: 10, 20 or 30 (Planetary Computer and ASF 10-30, OPERA 30)."""
    looks: float
    """Equivalent number of looks: 2.5-12, log-uniform (IW GRD 4.4, OPERA 7-8, others 3-6)."""
    speckle_correlation: float
    """Correlation of neighbouring speckle: 0-0.7 (OPERA 0.11-0.16, 10 m products 0.3-0.6)."""
    despeckled: float
    """Pixels of Gaussian smoothing after multilooking: 0, in one world of 14 0.8-1.8."""
    cross_speckle: float
    """Correlation of VV and VH speckle: 0-0.2 (OPERA over forest 0.09)."""
    blur: float
    """Metres (standard deviation) of the sensor's resolution and the maker's resampling: 4-12 (IW:
    20 m across; OPERA resamples to 30 m)."""
    noise_floor: tuple[float, float]
    """Noise-equivalent level, dB: VV -26 to -21, VH -28 to -22 (IW)."""
    incidence: float
    """Incidence on the ellipsoid at the middle, degrees: 20-46, two thirds 30-46 (IW)."""
    look: float
    """Direction the radar looks to, degrees from north: about 78 ascending, 282 descending."""
    jitter: float
    """Misregistration of passes, pixels (standard deviation): 0-0.3."""
    outliers: float
    """Isolated bright or dark points per pixel and pass: 0 to 3e-4 (ships, vehicles; wide)."""
    border: float
    """Chance that a pass lacks a part of the scene, with faint noise at its edge: 0-0.25."""

    # the passes
    before: int
    """Passes before the event: 1-8."""
    after: int
    """Passes after the event: 1-4."""
    repeat: int
    """Days between passes: 6 or 12 (two satellites or one)."""
    gap: float
    """Chance that a repeat has no pass: 0-0.4."""
    shift: float
    """Level shift of whole passes, dB (standard deviation): 0.1-0.6 (three climates 0.35-0.54);
    shifts reach 2 dB."""
    shift_shared: float
    """Correlation of VV's and VH's shifts: 0.2-0.98 (tropics 0.96-0.99)."""
    drift: float
    """Regional drift of a pass, dB (standard deviation over tens of kilometres): 0-0.5, so that it
    reaches 1 dB."""

    # the ground
    forest: float
    """Weight of forest in the land cover: 0-1; three worlds of five are mostly forest."""
    grass: float
    """Weight of grassland and scrub: 0-1."""
    dry: float
    """Weight of dry, sparsely grown land: 0-1."""
    fields: float
    """Share of the gentle ground that is fields: 0-1."""
    towns: float
    """Share of the gentle ground that is built up: 0-0.15."""
    water: float
    """Share of the scene's lowest ground under water: 0-0.25; in a third of the worlds none."""
    tree_line: float
    """Height above which it is bare and alpine, as a share of the relief: 0.5-1.5 (>1 none)."""
    levels: tuple[tuple[float, float], ...]
    """Level of each `Ground`, dB (VV, VH): forest VV -7.3 +- 2.3 within -16..-4, VH 5-8 lower
    (Sen12Landslides; GRD of arid and boreal land reaches both ends)."""
    stand: float
    """Lasting differences between stands of one cover, dB: 0.2-1.2 (texture of hundreds of m)."""
    texture: float
    """Lasting fine texture, dB: 0.2-2 at one pixel (OPERA in California 2, Myanmar 1)."""
    scatter: tuple[float, float]
    """Temporal scatter of quiet ground beyond speckle, dB: VV 0.1-1.1, VH 1-1.8 of it (OPERA sites:
    1.8 and 2.1 dB in total at 7-8 looks, whose speckle is 1.6)."""
    slope_brightness: float
    """Brightness that terrain correction leaves, dB per 10 degrees of local incidence: -1.2-0.6."""
    slope_unsteady: float
    """Its change from pass to pass, dB per 10 degrees (standard deviation): 0-0.15."""
    steepness: float
    """Ninth decile of the slopes of its hills, degrees: 16-45, in one world of seven 8-16."""
    valleys: float
    """Metres from valley to valley: 500-4000, log-uniform (drainage density 0.5-4 per km; wide)."""
    roughness: float
    """Exponent of the relief's spectrum: 1.8 rugged to 2.5 smooth."""
    ridges: float
    """How much of the relief is ridges and carved valleys rather than rounded hills: 0-1."""
    plain: float
    """Share of the scene that is nearly flat ground: 0-0.7."""
    wet_soil: float
    """Moisture of open ground, dB (standard deviation over passes): 0.2-1.6, +3 dB in a storm."""
    leaves: float
    """Leaf-on against leaf-off at broadleaved stands, dB (VH; VV half of it): -1.5-1.5."""
    frozen: float
    """Chance that a pass is frozen, forest 2-4 dB lower: 0, in one world of 12 up to 0.3."""
    snow: float
    """Snow line as a share of the relief, 0.4-1.4 (>1 none); it moves between passes."""

    # what is no landslide
    felling: float
    """Share of the forest felled in the passes' time: 0-0.012 (rectangles of 1-20 ha)."""
    fire: float
    """Share of the land burnt: 0, in one world of 12 up to 0.08 (OPERA sites: -3.8/-5.2 ...)."""
    flood: float
    """Share of the flats flooded at the event: 0, in one world of five up to 0.4."""
    harvest: float
    """Step of a field that is cut, ploughed or sown, dB (standard deviation): 0.8-3."""

    # what landslides do
    family: str
    """'mixed' in 55 worlds of 100, or the one family of all landslides (`FAMILIES`)."""
    mix: tuple[float, float, float, float]
    """Share of each of `FAMILIES`: about 0.6, 0.29, 0.06, 0.05 where mixed (Sao Sebastiao)."""
    facing: float
    """How far the sign follows the slope's facing the radar: 0 not at all, 1 alone: 0-1."""
    strength: float
    """Median change of VV of the clear ones, dB: 4 within a factor of 1.4, 1.8-8, before
    partial pixels take their share (Sao Sebastiao's pixels keep 3.2-3.4; Iburi 3.1)."""
    strength_spread: float
    """Spread between landslides, natural logarithm: 0.25-0.6."""
    vh_share: float
    """Change of VH against VV: 0.2-1.2 (Iburi 0.42, Sao Sebastiao 0.92)."""
    facing_law: float
    """Brighter by so many dB per 10 degrees towards the radar: 0-1.6 (Iburi 1.1)."""
    canopy: float
    """Height of the trees around a landslide, metres: 3-35, in three worlds of ten 0."""
    walls: float
    """Change at the far (bright) and near (dark) wall of a hole in trees of 20 m, dB: 2-9 (Sao
    Sebastiao's pairs: about 8, of which 30 m pixels keep 3.4)."""
    wetness: float
    """Debris brighter by moisture just after the event, dB: 0-1.5; it dries."""
    weak: float
    """Share of landslides that hardly show: 0.05-0.25 (Iburi 1/6)."""
    remnants: float
    """Share of a landslide's surface that did not change: 0-0.2."""
    mottle: float
    """Lasting differences within a landslide, dB: 0.3-1.6."""
    delay: float
    """Share of VH's change that comes only from a month after: 0, in one world of 4 up to 0.9."""
    healing: float
    """Loss of change per month after the event: 0-0.1."""
    open_share: float
    """Change on grass, bare or dry ground against that in forest: 0.35-0.9."""
    land_share: float
    """Landslides' share of the land: 0 in one world of seven, else 0.0002-0.2, log-uniform."""
    area: float
    """Median area, m2: 1,200-15,000, log-uniform (Iburi 3,900)."""
    area_spread: float
    """Spread of areas, natural logarithm: 0.6-1.3; areas keep within 300 m2 and 1 km2."""
    elongation: float
    """Length against width: 1.6-7."""
    steepest_first: float
    """Slope where most start, degrees: 18-38."""
    gentle: float
    """Share of landslides that lie anywhere, flat ground too: 0-0.5, in a quarter of the worlds 0
    (river banks, quick clay, cuttings, deposits; wide)."""
    clustering: float
    """How much they crowd: 0 even, 2 in clusters (exponent on a smooth random field)."""
    outline_error: float
    """Metres by which analysts' outlines are off, per landslide: 2-15."""
    geometry_error: float
    """Metres by which terrain correction moves the radar's footprint along the look: -18-12 (the
    canopy's top lies nearer to the radar than the ground that an elevation model may hold)."""

    def __post_init__(self) -> None:
        for name, (low, high) in _POSSIBLE.items():
            if not low <= getattr(self, name) <= high:
                raise RequestError(
                    f"{name}={getattr(self, name)!r} of the physics must be from {low} to {high}."
                )

    @classmethod
    def draw(cls, seed: int, **fixed: Any) -> Physics:
        """Draw a world's law.

        Parameters
        ----------
        seed
            Whole number that everything grows from; a fixed field changes no other.
        **fixed
            Fields to set instead of drawing, such as `family="both_up"` or `spacing=30.0`.
            `family` sets `mix` too unless that is given.

        Returns
        -------
        Physics

        Raises
        ------
        RequestError
            A name is no field, the family is unknown, or a value is impossible.
        """
        drawn = cls(**draw_fields(seed, fixed.get("family")))
        return _fix(drawn, fixed)

    @classmethod
    def iburi(cls) -> Physics:
        """The law of `simulate_event`, in these terms: forest of Iburi, IW GRD, 10 m.

        Examples
        --------
        >>> Physics.iburi().looks, Physics.iburi().vh_share
        (4.4, 0.42)
        """
        return cls(**iburi_fields())


def _fix(drawn: Physics, fixed: dict[str, Any]) -> Physics:
    known = {field.name for field in fields(Physics)}
    unknown = sorted(set(fixed) - known)
    if unknown:
        raise RequestError(f"{unknown[0]!r} is no field of Physics; one of {sorted(known)}.")
    return replace(drawn, **fixed)
