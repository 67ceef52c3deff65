"""Requests as YAML or TOML files, and the sentence for what is wrong in one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sarmap.errors import RequestError
from sarmap.types import MapRequest

DEEPEST = 50
"""Lists and mappings inside one another in a request file."""
LARGEST = 4_000_000
"""Characters of a request file; an area may stand in one as GeoJSON."""

R = TypeVar("R", bound=MapRequest)


def as_path(value: str | Path) -> Path:
    """A local path with `~` expanded, where it names a user that there is."""
    path = Path(value)
    try:
        return path.expanduser()
    except (RuntimeError, ValueError):  # no such user; text that can be no path
        return path


def read_request_file(path: str | Path) -> dict[str, Any]:
    """The fields of a request file; `.toml` is TOML, `.yaml` and `.yml` are YAML. RequestError
    where it is missing, malformed, or not a list of names and values.

    A relative `area` or `out` path means what it would mean on the command line.
    """
    file = as_path(path)
    text = read_text(file, "Request file")
    if len(text) > LARGEST:
        raise RequestError(
            f"Request file {file.name} has {len(text):,} characters: a request has no more than "
            f"{LARGEST:,}; name a large area by its file."
        )
    fields = _parse(text, file)
    if not isinstance(fields, Mapping):
        raise RequestError(
            f"Request file {file.name} must hold names and values, like 'event: 2018-09-05T18:08Z'."
        )
    return {str(name).replace("-", "_"): value for name, value in fields.items()}


def read_text(file: Path, what: str) -> str:
    """A text file's content; RequestError, whose sentence `what` begins, where it has none."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        why = "not UTF-8"
    except OSError as error:
        why = error.strerror or "it is no text file"
    raise RequestError(f"{what} {file.name} cannot be read: {why}.")


def _parse(text: str, file: Path) -> Any:
    if file.suffix.lower() == ".toml":
        import tomllib

        try:
            return tomllib.loads(text)
        except Exception as error:  # beside its own, what a number or a depth may raise
            why = f": {error}" if isinstance(error, tomllib.TOMLDecodeError) else ""
            raise RequestError(f"Request file {file.name} is not valid TOML{why}.") from error
    if file.suffix.lower() in (".yaml", ".yml"):
        return read_yaml(text, f"Request file {file.name}")
    raise RequestError(f"Request file {file.name} must end in .yaml, .yml or .toml.")


def read_yaml(text: str, what: str) -> Any:
    """What a YAML text says, as plain values; aliases are not read, as they may grow without end.
    RequestError, whose sentence `what` begins, where it is not valid, or has one.

    >>> read_yaml("event: 2018-13-45", "Request file r.yaml")
    Traceback (most recent call last):
    sarmap.errors.RequestError: Request file r.yaml is not valid YAML (month must be in 1..12).
    """
    import yaml

    try:
        _check_tokens(text, what)
        return yaml.safe_load(text)
    except RequestError:
        raise
    except Exception as error:  # beside its own, what a date, a number or a depth may raise
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        told = f" ({error})" if isinstance(error, ValueError) and len(str(error)) < 80 else ""
        raise RequestError(f"{what} is not valid YAML{where}{told}.") from error


def _check_tokens(text: str, what: str) -> None:
    """Refuse, as far as it is scanned, what would take a parser without end."""
    import yaml

    depth = 0
    for token in yaml.scan(text):
        kind = type(token).__name__
        depth += kind.endswith(("SequenceStartToken", "MappingStartToken"))
        depth -= kind in ("BlockEndToken", "FlowSequenceEndToken", "FlowMappingEndToken")
        if kind == "AliasToken":
            raise RequestError(f"{what} has an alias (*name): write the value out.")
        if depth > DEEPEST:
            raise RequestError(f"{what} is nested more than {DEEPEST} deep.")


def make_request(fields: Mapping[str, Any], model: type[R] = MapRequest) -> R:  # type: ignore[assignment]
    """A request from names and values; RequestError in one sentence where a field is missing,
    unknown, or not of its kind.

    >>> make_request({"area": [141.8, 42.6, 142.1, 42.9], "event": "2018-09-05T18:08Z"}).pre
    1
    """
    try:
        return model(**_files_apart(fields))
    except ValidationError as error:
        raise RequestError(_sentence(error, model)) from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RequestError(
            f"The request cannot be read ({type(error).__name__}): a value is too large or too "
            "deeply nested."
        ) from error


def _files_apart(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`pre` and `post` count passes, or name files of them.

    >>> _files_apart({"pre": ["2"], "post": "after"})
    {'pre': 2, 'post_files': ('after',)}
    """
    apart = dict(fields)
    for name in ("pre", "post"):
        value = fields.get(name)
        given = [value] if isinstance(value, str | Path) else value
        if not isinstance(given, list | tuple):
            continue
        if len(given) == 1 and str(given[0]).lstrip("-").isdigit():
            apart[name] = int(str(given[0]))
        else:
            del apart[name]
            apart[f"{name}_files"] = tuple(given)
    return apart


def _sentence(error: ValidationError, model: type[MapRequest]) -> str:
    """The first fault of a validation, in words; before a missing name one that is misspelt."""
    faults = error.errors(include_url=False, include_input=False)
    fault = min(faults, key=lambda one: one["type"] != "extra_forbidden")
    name = ".".join(str(part) for part in fault["loc"][:1])
    known = model.model_fields
    if fault["type"] == "missing":
        return f"The request lacks {name} (--{name.replace('_', '-')}): {known[name].description}."
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"The request does not know {name!r}: {hint}choose from {', '.join(known)}."
    return f"The request's {name} is wrong: {fault['msg'][0].lower()}{fault['msg'][1:]}."
