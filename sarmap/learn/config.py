"""What a training is made from, as one record: from Python, YAML or TOML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sarmap.errors import RequestError
from sarmap.learn.fitting import Recipe
from sarmap.learn.grounds import GroundSource
from sarmap.learn.index import ClipRule, PatchRule
from sarmap.learn.sen12landslides import PatchSource
from sarmap.learn.worlds import WorldSource
from sarmap.request_file import read_request_file
from sarmap.types import Instant, Scaling

NETWORK_NAMES = Literal["attention-unet", "plain-unet", "dropout-unet", "cnn"]


class EventSource(BaseModel):
    """One event to learn from: where its radar and its inventory are."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str = Field(min_length=1, description="name in tables and cards")
    simulated: str | None = Field(None, description="folder of a simulated event; else a real one")
    area: Any = Field(None, description="bbox, GeoJSON geometry or vector file")
    event: Instant | tuple[Instant, Instant] | None = Field(None, description="UTC instant")
    catalog: Any = Field("planetary-computer", description="preset, STAC API URL or settings")
    orbit: Literal["ascending", "descending"] | None = Field(None, description="None: best covered")
    crs: str | int | None = Field(None, description="None: the UTM zone of the area")
    resolution: float = Field(10.0, gt=0, description="metres")
    inventory: str | None = Field(None, description="landslide polygons; simulated: its own")
    inventory_layer: str | None = Field(None, description="layer of the inventory")
    inventory_crs: str | int | None = Field(None, description="where the files do not say")
    surveyed: str | None = Field(None, description="polygons; outside, nothing is labelled")
    clouds: str | None = Field(None, description="polygons; inside, nothing is labelled")
    land_cover: str | None = Field(
        None, description="raster of codes; 'simulated': the simulator's"
    )
    land_cover_names: dict[int, str] = Field({}, description="names of codes")
    role: Literal["training", "validation", "test"] = Field(
        "training", description="a test event is held out whole"
    )

    @model_validator(mode="after")
    def _complete(self) -> EventSource:
        if self.simulated is None:
            lacking = [name for name in ("area", "event", "inventory") if not getattr(self, name)]
            if lacking:
                raise ValueError(f"event {self.name!r} lacks {', '.join(lacking)}")
        if self.simulated is None and self.land_cover == "simulated":
            raise ValueError(f"event {self.name!r} is real: give land_cover as a raster file")
        return self


class SampleSettings(BaseModel):
    """Which samples are taken, and which of them train, choose and test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: Literal["slide", "all"] = Field("slide", description="patches: with a landslide, or all")
    empty: float = Field(
        1.0, ge=0, le=1, description="of all: share kept of patches without a landslide"
    )
    stride: int | None = Field(
        None, ge=1, description="step between patches (the tile), between landslide clips (4)"
    )
    per_polygon: int = Field(12, ge=1, description="most clips of one polygon")
    negatives: float = Field(1.0, gt=0, description="clips of other land per landslide clip")
    negative_stride: int = Field(8, ge=1, description="step between points of other land")
    guard: int = Field(3, ge=0, description="px without landslide around a clip of other land")
    split: Literal["random", "blocks", "events"] = Field(
        "blocks", description="the papers' random split, spatial blocks, or held-out events"
    )
    test: float = Field(0.2, ge=0, lt=1, description="share that tests")
    validation: float = Field(0.2, gt=0, lt=1, description="share of the rest that validates")
    block: int = Field(512, ge=1, description="edge of a spatial block, pixels")


class TrainingConfig(BaseModel):
    """Everything one training is made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="name of the weights")
    out: str = Field("trained", description="folder for weights, card, curves and samples")
    network: NETWORK_NAMES = "attention-unet"
    filters: int | None = Field(None, ge=1, description="first-layer filters of a U-Net (32)")
    depth: int | None = Field(None, ge=1, description="poolings of a U-Net (4)")
    arguments: dict[str, Any] = Field({}, description="further arguments of the network")
    composite: str | tuple[str, ...] | None = Field(None, description="BAA_S; of the cnn BAA")
    scaling: Scaling = "amplitude"
    normalisation: Literal["tile-minmax", "fixed", "none"] | None = Field(
        None, description="tile-minmax; of the cnn fixed statistics of the training samples"
    )
    tile: int | None = Field(None, ge=1, description="edge of a patch (64) or clip (25), pixels")
    loss: Literal["dice", "bce-dice", "focal-tversky", "cross-entropy"] | None = Field(
        None, description="dice; of the cnn cross-entropy"
    )
    loss_settings: dict[str, float] = Field({}, description="epsilon, alpha, gamma of the loss")
    epochs: int = Field(20, ge=1)
    batch: int = Field(16, ge=1)
    learning_rate: float = Field(0.001, gt=0)
    schedule: Literal["constant", "cosine"] = "cosine"
    keep: Literal["best", "last"] = Field("best", description="epoch whose weights are kept")
    patience: int = Field(6, ge=1, description="epochs without a better validation loss")
    augment: bool = True
    seed: int = Field(0, ge=0)
    precision: Literal["auto", "f32", "bf16"] = "auto"
    map_tile: int | None = Field(None, ge=1, description="edge of a tile when mapping (the tile)")
    change_share: float = Field(
        0.0, ge=0, lt=1, description="weight of the detector `change` beside it when mapping"
    )
    odds_added: float = Field(
        0.0, description="log-odds added when mapping: moves what counts as 0.5"
    )
    prevalence: float | None = Field(
        None, gt=0, lt=1, description="share of the land under landslides that answers suppose"
    )
    halo: int = Field(0, ge=0, description="context around a tile when mapping, pixels")
    events: tuple[EventSource, ...] = ()
    worlds: tuple[WorldSource, ...] = Field((), description="drawn worlds to learn from as well")
    grounds: tuple[GroundSource, ...] = Field(
        (), description="real passes that landslides are put into, to learn from as well"
    )
    sen12landslides: tuple[PatchSource, ...] = Field(
        (), description="folders of that data set of real landslides, to learn from as well"
    )
    samples: SampleSettings = Field(default_factory=lambda: SampleSettings.model_validate({}))
    grid: dict[str, tuple[Any, ...]] = Field(
        {}, description="settings that `tune` tries: filters and batch 2 to 32"
    )
    licence: str = "Apache-2.0"

    @model_validator(mode="after")
    def _together(self) -> TrainingConfig:
        kept = self.worlds or self.grounds or self.sen12landslides
        if not self.events and not kept:
            raise ValueError(
                "there is nothing to learn from: name events, worlds, grounds or sen12landslides"
            )
        if kept and (self.network == "cnn" or self.scaling != "db"):
            raise ValueError(
                "worlds, grounds and sen12landslides are learnt from by a U-Net, with scaling 'db'"
            )
        if self.network == "cnn" and (self.map_tile is not None or self.halo):
            raise ValueError("map_tile and halo are of the U-Nets")
        if self.network == "cnn":
            if self.filters is not None or self.depth is not None:
                raise ValueError("filters and depth are of the U-Nets; give the cnn `arguments`")
            if self.loss not in (None, "cross-entropy"):
                raise ValueError("the cnn trains with the loss cross-entropy")
            if self.normalisation == "tile-minmax":
                raise ValueError("the cnn takes fixed statistics: normalisation 'fixed' or 'none'")
        clip = self.tile if self.network == "cnn" else None
        if clip is not None and clip % 2 == 0:
            raise ValueError("a clip has a centre: give the cnn an odd tile")
        return self

    @property
    def kind(self) -> Literal["segment", "window"]:
        """Whether the network answers for pixels or for windows."""
        return "window" if self.network == "cnn" else "segment"

    @property
    def edge(self) -> int:
        """Edge of a sample, pixels."""
        return self.tile or (25 if self.network == "cnn" else 64)

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands of the composite."""
        from sarmap.compose.names import composite_bands

        return composite_bands(self.composite_name)

    @property
    def composite_name(self) -> str | tuple[str, ...]:
        """The composite, named or as bands."""
        return self.composite or ("BAA" if self.network == "cnn" else "BAA_S")

    @property
    def normalised(self) -> Literal["tile-minmax", "fixed", "none"]:
        """How tiles are normalised."""
        return self.normalisation or ("fixed" if self.network == "cnn" else "tile-minmax")

    @property
    def loss_name(self) -> str:
        """The loss, with the network's own for none."""
        return self.loss or ("cross-entropy" if self.network == "cnn" else "dice")

    @property
    def network_arguments(self) -> dict[str, Any]:
        """Arguments of the network's builder."""
        if self.network == "cnn":
            return {"clip": self.edge, **self.arguments}
        own = {"filters": self.filters or 32, "depth": self.depth or 4, "tile": self.edge}
        return {**own, **self.arguments}

    @property
    def map_arguments(self) -> dict[str, Any]:
        """Arguments of the network as it maps: a U-Net takes tiles of any size."""
        if self.network == "cnn":
            return self.network_arguments
        return {**self.network_arguments, "tile": (self.map_tile or self.edge) + 2 * self.halo}

    @property
    def worlds_folder(self) -> Path:
        """Where evidence of worlds, grounds and patches is kept."""
        return Path(self.out).expanduser() / "worlds"

    @property
    def recipe(self) -> Recipe:
        """What the training loop needs."""
        return Recipe(
            self.epochs,
            self.batch,
            self.learning_rate,
            self.augment,
            self.patience,
            self.seed,
            self.schedule,
            self.keep,
        )

    @property
    def rule(self) -> PatchRule | ClipRule:
        """Which samples are taken."""
        of = self.samples
        if self.network == "cnn":
            return ClipRule(
                clip=self.edge,
                stride=of.stride or 4,
                per_polygon=of.per_polygon,
                negatives=of.negatives,
                negative_stride=of.negative_stride,
                guard=of.guard,
                seed=self.seed,
            )
        return PatchRule(
            tile=self.edge, stride=of.stride or self.edge, keep=of.keep, empty=of.empty
        )


def read_config(config: TrainingConfig | Mapping[str, Any] | str | Path) -> TrainingConfig:
    """A configuration from itself, names and values, or a YAML or TOML file; RequestError in one
    sentence where the file cannot be read, or a field is missing, unknown or wrong.

    >>> config = read_config({"name": "mine", "events": [{"name": "a", "simulated": "folder"}]})
    >>> config.network, config.bands, config.edge
    ('attention-unet', ('vv_pre', 'vv_post_1', 'vv_post_2', 'slope'), 64)
    """
    if isinstance(config, TrainingConfig):
        return config
    fields = read_request_file(config) if isinstance(config, str | Path) else config
    try:
        return TrainingConfig.model_validate(dict(fields))
    except ValidationError as error:
        raise RequestError(_sentence(error)) from error


def events_of(config: TrainingConfig) -> list[dict[str, Any]]:
    """The events as plain values, files by what they are and not by where they lie.

    Two configurations whose events are alike in this take the same samples.
    """
    files = ("simulated", "inventory", "surveyed", "clouds", "land_cover")
    return [
        event.model_dump(mode="json", exclude={"area", "catalog"})
        | {"area": str(event.area), "catalog": str(event.catalog)}
        | {name: _identity(getattr(event, name)) for name in files}
        for event in config.events
    ]


def _identity(text: str | None) -> Any:
    """A file by name, size and time of change; a simulated event by its record."""
    path = Path(text or "").expanduser()
    if text and (path / "event.json").is_file():
        return (path / "event.json").read_text(encoding="utf-8")
    if text and path.is_file():
        return [path.name, path.stat().st_size, path.stat().st_mtime_ns]
    return text


def _sentence(error: ValidationError) -> str:
    """The first fault of a validation, in words."""
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"The training configuration lacks {where}."
    if fault["type"] == "extra_forbidden":
        return f"The training configuration does not know {where!r}: see docs/training.md."
    said = fault["msg"].removeprefix("Value error, ")
    return f"The training configuration's {where or 'settings'}: {said}."
