"""Vector files of other people's: one door for inventories, areas, districts and exposure.

A file's suffix chooses its driver, never its content: GDAL would else take a VRT, a WFS or a
pipeline description under any name, and fetch what that names. Archives are unpacked under plain
names, up to a bound. Polygons are read whatever their attributes hold.
"""

from __future__ import annotations

import errno
import glob
import shutil
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from sarmap.errors import RequestError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

LARGEST = 2**30
"""Bytes that an archive may unpack to, all in all."""
MEMBERS = 10_000
"""Files that an archive may hold."""

_PREFIXES = {
    ".gpkg": "GPKG:",
    ".geojson": "GeoJSON:",
    ".json": "GeoJSON:",
    ".geojsonl": "GeoJSONSeq:",
    ".geojsons": "GeoJSONSeq:",
    ".ndjson": "GeoJSONSeq:",
    ".csv": "CSV:",
}
"""Suffix -> what makes GDAL open a file with this driver and no other."""
_BEGINNINGS = {".shp": b"\x00\x00\x27\x0a", ".fgb": b"fgb", ".gpkg": b"SQLite format 3\x00"}
"""Suffix -> first bytes of a file of this kind: no other driver takes these."""
_ROOTS = {".kml": {"kml"}, ".gml": {"FeatureCollection"}}
"""Suffix -> what an XML file of this kind begins with."""
_DESCRIPTIONS = (b"<OGR", b"<GDAL", b"<VRT", b"<WMS", b"<CSW", b"gdal_streamed_alg")
"""What GDAL takes for a description of other sources, wherever it stands in an XML file."""
_ARCHIVES = (".zip", ".kmz", ".shz")
_PARQUET = (".parquet", ".geoparquet")
SUFFIXES = (*_BEGINNINGS, *_PREFIXES, *_ROOTS, *_PARQUET, ".gdb", *_ARCHIVES)
"""Suffixes of files that are read."""
_NOT_ALONE = (".json", ".csv")
"""Suffixes that an archive uses for other things, too."""
_ARCHIVE_NAMES = "cp932"
"""Zip files without the UTF-8 flag keep names in the code page of whoever packed them."""
_restoring = threading.Lock()


@dataclass(frozen=True)
class VectorFile:
    """One vector file, to be read layer by layer."""

    path: Path
    """Where it is."""
    name: str
    """What it is called, for sentences."""
    layers: tuple[str, ...]
    """Names of its layers; several may share one."""

    def read(self, layer: int = 0, *, box: Sequence[float] | None = None) -> Any:
        """A layer, by its number, as GeoDataFrame, or as DataFrame where it has no geometries;
        RequestError where it cannot be read. Where the attributes cannot be, the geometries alone,
        with a warning.

        `box` is west, south, east and north in degrees that features should touch; a format that
        cannot choose gives all.
        """
        if self.path.suffix.lower() in _PARQUET:
            return _parquet(self)
        words: dict[str, Any] = {"layer": layer, "on_invalid": "ignore", **_options(self.path)}
        if box is not None:
            words["bbox"] = box
        try:
            return _read(self.path, words)
        except Exception as error:
            try:
                frame = _read(self.path, {**words, "columns": [], "encoding": None})
            except Exception:
                raise _unreadable(self.name, error) from None
            warnings.warn(
                f"The attributes of {self.name!r} cannot be read ({type(error).__name__}): its "
                "geometries are used alone.",
                stacklevel=3,
            )
            return frame


def read_vector(path: Path, what: str, *, box: Sequence[float] | None = None) -> GeoDataFrame:
    """The first layer of a vector file, or of an archive's first file; `what` it is for begins a
    sentence: 'area file'.

    Raises RequestError where it cannot be read, has no layer, or that is a table without
    geometries.
    """
    with open_vectors(path, what) as files:
        found = [file for file in files if file.layers]
        if not found:
            raise RequestError(f"{what} {path.name!r} has no layer.")
        frame = found[0].read(box=box)
    if not hasattr(frame, "geometry") or not hasattr(frame, "to_crs"):
        raise RequestError(f"{what} {path.name!r} is a table without geometries.")
    return frame


@contextmanager
def open_vectors(path: Path, what: str) -> Iterator[list[VectorFile]]:
    """The vector files at a path: itself, those inside a zip file or a folder, or a file
    geodatabase; `what` they are for begins a sentence: 'Inventory'. RequestError where there is
    none, it is damaged, of a kind that is not read, or unpacks to too much.
    """
    shown = f"{what} {path.name!r}"
    with tempfile.TemporaryDirectory(prefix="sarmap-") as scratch:
        suffix, folder = path.suffix.lower(), Path(scratch)
        if suffix in _ARCHIVES and path.is_file():
            members = _unpacked(path, folder, shown)
        elif path.is_dir() and suffix != ".gdb":
            members = {one.name: one for one in sorted(path.iterdir()) if _is_vector(one)}
        else:
            members = {path.name: path}
        if not members:
            raise RequestError(f"{shown} holds no vector file ({', '.join(sorted(SUFFIXES))}).")
        yield [_opened(file, name, shown, folder) for name, file in members.items()]


def _opened(file: Path, name: str, shown: str, scratch: Path) -> VectorFile:
    """A file whose content is of its suffix's kind, with its layers."""
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES or suffix in _ARCHIVES:
        raise RequestError(
            f"{shown} is no vector file that is read: give GeoPackage, shapefile, GeoJSON, KML or "
            f"another of {', '.join(sorted(SUFFIXES))}."
        )
    _check_content(file, suffix, name)
    if suffix in _PARQUET:
        return VectorFile(file, name, (name,))
    import pyogrio

    if suffix == ".shp" and not any(file.with_suffix(one).exists() for one in (".shx", ".SHX")):
        file = _restored(file, scratch)
    try:
        layers = [str(row[0]) for row in pyogrio.list_layers(_address(file))]
    except Exception as error:
        raise _unreadable(name, error) from None
    return VectorFile(file, name, tuple(layers))


def _check_content(file: Path, suffix: str, name: str) -> None:
    """Refuse a file that another driver would take than that of its suffix."""
    if (suffix == ".gdb") != file.is_dir():
        raise _unreadable(name)
    if suffix not in _BEGINNINGS and suffix not in _ROOTS:
        return
    try:
        with file.open("rb") as opened:
            if suffix in _ROOTS:
                _check_xml(opened, suffix, name)
            elif not opened.read(16).startswith(_BEGINNINGS[suffix]):
                raise _unreadable(name)
    except OSError as error:
        raise _unreadable(name, error) from error


def _check_xml(opened: IO[bytes], suffix: str, name: str) -> None:
    from xml.etree import ElementTree

    kept = b""
    for chunk in iter(lambda: opened.read(2**20), b""):
        text = (kept + chunk).replace(b"\x00", b"")  # UTF-16, too
        if any(mark in text for mark in _DESCRIPTIONS):
            raise _unreadable(name)
        kept = chunk[-64:]
    opened.seek(0)
    try:
        _, root = next(ElementTree.iterparse(opened, events=("start",)))
    except (ElementTree.ParseError, StopIteration, ValueError, LookupError) as error:
        raise _unreadable(name, error) from None
    if root.tag.rpartition("}")[2] not in _ROOTS[suffix]:
        raise _unreadable(name)


def _unreadable(name: str, error: Exception | None = None) -> RequestError:
    why = "" if error is None else f" ({type(error).__name__})"
    return RequestError(
        f"{name!r} cannot be read as a vector file of the kind that its ending says{why}: open it "
        "in a GIS and save it as GeoPackage."
    )


def _address(file: Path) -> str:
    return f"{_PREFIXES.get(file.suffix.lower(), '')}{file}"


def _read(file: Path, words: dict[str, Any]) -> Any:
    import geopandas
    import pyogrio
    import shapely

    box = words.pop("bbox", None)
    if box is not None:  # pyogrio wants it in the layer's own system
        crs = pyogrio.read_info(_address(file), layer=words["layer"])["crs"]
        area = geopandas.GeoSeries([shapely.box(*box)], crs="EPSG:4326")
        words = {**words, "bbox": tuple(area.to_crs(crs).total_bounds) if crs else None}
    return pyogrio.read_dataframe(_address(file), **words)


def _options(file: Path) -> dict[str, Any]:
    """How GDAL is told to read: no schema is fetched, and a shapefile's text is what it looks."""
    if file.suffix.lower() == ".gml":
        return {"DOWNLOAD_SCHEMA": "NO"}
    return {"encoding": _encoding(file)}


def _encoding(file: Path) -> str | None:
    """Code page of a shapefile's attributes; None leaves it to GDAL.

    A ``.dbf`` that declares no code page is taken for Latin-1 by GDAL, which turns Japanese into
    noise without an error. UTF-8 and code page 932 both refuse most text that is not theirs.
    """
    table = next(
        (t for t in (file.with_suffix(".dbf"), file.with_suffix(".DBF")) if t.exists()), None
    )
    declared = file.with_suffix(".cpg").exists() or file.with_suffix(".CPG").exists()
    if file.suffix.lower() != ".shp" or table is None or declared:
        return None
    content = table.read_bytes()
    if len(content) > 29 and content[29] not in (0, 0x57):
        return None
    for code_page in ("utf-8", "cp932"):
        try:
            content[32:].decode(code_page)
        except UnicodeDecodeError:
            continue
        return code_page
    return None


def _parquet(file: VectorFile) -> Any:
    import geopandas

    try:
        return geopandas.read_parquet(file.path)
    except Exception as error:
        raise RequestError(
            f"{file.name!r} is not a GeoParquet file ({type(error).__name__})."
        ) from None


def _restored(file: Path, scratch: Path) -> Path:
    """A copy of a shapefile whose index is lacking, with one that GDAL makes."""
    import pyogrio

    folder = Path(tempfile.mkdtemp(dir=scratch))
    for part in file.parent.glob(f"{glob.escape(file.stem)}.*"):
        shutil.copyfile(part, folder / part.name)
    with _restoring:
        before = pyogrio.get_gdal_config_option("SHAPE_RESTORE_SHX")
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": True})
        try:
            pyogrio.list_layers(folder / file.name)
        except Exception as error:
            raise _unreadable(file.name, error) from None
        finally:
            pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": before})
    return folder / file.name


# --- archives ------------------------------------------------------------------------------------


def _is_vector(file: Path) -> bool:
    suffix = file.suffix.lower()
    return suffix in SUFFIXES and (suffix not in _NOT_ALONE or _holds_features(file))


def _holds_features(file: Path) -> bool:
    """True for JSON and CSV with coordinates; archives hold other JSON and CSV, too."""
    with file.open("rb") as opened:
        begin = opened.read(2**20)
    return b'"coordinates"' in begin or b"POLYGON" in begin.upper()


def _unpacked(source: Path, scratch: Path, shown: str) -> dict[str, Path]:
    """Unpack an archive and those in it, one level deep: member name -> vector file."""
    found = _members(source, scratch, shown, scratch)
    for number, (name, file) in enumerate(list(found.items())):
        if file.suffix.lower() in _ARCHIVES:
            room = scratch / f"inner{number}"
            room.mkdir()
            inside = _members(file, room, shown, scratch)
            found |= {f"{name}/{one}": path for one, path in inside.items()}
    return {
        name: file
        for name, file in found.items()
        if file.suffix.lower() not in _ARCHIVES and _is_vector(file)
    }


def _members(source: Path, folder: Path, shown: str, scratch: Path) -> dict[str, Path]:
    """Files of an archive as ``<number>.<suffix>``, so that no name in it reaches GDAL."""
    try:
        with zipfile.ZipFile(source, metadata_encoding=_ARCHIVE_NAMES) as archive:
            entries = [one for one in archive.infolist() if not one.is_dir()]
            held = sum(file.stat().st_size for file in scratch.rglob("*") if file.is_file())
            if len(entries) > MEMBERS or held + sum(one.file_size for one in entries) > LARGEST:
                raise RequestError(
                    f"{shown} unpacks to more than {MEMBERS:,} files or {LARGEST >> 30} GiB: "
                    "unpack it and name the file inside."
                )
            return _extracted(archive, entries, folder)
    except RequestError:
        raise
    except Exception as error:  # zipfile and its codecs raise many kinds; each means the same
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):  # of the scratch folder
            raise
        raise RequestError(
            f"{shown} is not a readable zip file, or is encrypted ({type(error).__name__}): unpack "
            "it and name the file inside."
        ) from None


def _extracted(
    archive: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], folder: Path
) -> dict[str, Path]:
    stems: dict[str, int] = {}
    found: dict[str, Path] = {}
    for entry in entries:
        name = PurePosixPath(entry.filename)
        if "__MACOSX" in name.parts or name.name.startswith("."):
            continue
        base = next((one for one in name.parents if one.suffix.lower() == ".gdb"), None)
        number = stems.setdefault(str(base or name.with_suffix("")), len(stems))
        if base is not None:
            target = folder / f"{number}.gdb" / name.name
            found[str(base)] = target.parent
        else:
            target = folder / f"{number}{name.suffix.lower()}"
            if target.suffix in SUFFIXES:
                found[entry.filename] = target
        target.parent.mkdir(exist_ok=True)
        with archive.open(entry) as packed, target.open("wb") as plain:
            shutil.copyfileobj(packed, plain, 2**20)
    return found
