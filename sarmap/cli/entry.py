"""The commands' frame: one sentence for what went wrong, and the exit code that says of what kind.

Exit codes: 0 done; 1 failed; 2 bad request or bad input; 3 finished, but some data could not be
read; 130 interrupted from the keyboard; 143 ended by SIGTERM, as a scheduler or a reboot sends it.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence

import click

from sarmap.cli.assessing import assess, compare, polygons, report
from sarmap.cli.events import demo, serve, simulate
from sarmap.cli.learning import reproduce, train, tune
from sarmap.cli.map_commands import map_, plan, search, watch
from sarmap.cli.regions import scan, status
from sarmap.errors import SarmapError
from sarmap.version import __version__

FAILED, BAD_INPUT, INTERRUPTED, TERMINATED = 1, 2, 130, 143


@click.group(
    invoke_without_command=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
    epilog="Start with: sarmap demo",
)
@click.version_option(__version__, prog_name="sarmap")
@click.option("-v", "--verbose", is_flag=True, help="Say every read that failed, and why.")
@click.option("-q", "--quiet", is_flag=True, help="Say errors alone: no warnings, no progress.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error; -v is part of it.")
@click.pass_context
def group(context: click.Context, verbose: bool, quiet: bool, debug: bool) -> None:
    """Map landslides from Sentinel-1 radar, from a STAC search to a map."""
    context.obj = {"debug": debug}
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet are opposites: give one of them.")
    if verbose or debug:
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("sarmap").setLevel(logging.DEBUG)
    elif quiet:
        logging.getLogger("sarmap").setLevel(logging.ERROR)
        warnings.simplefilter("ignore")
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(BAD_INPUT)


for command in (
    demo,
    simulate,
    serve,
    search,
    plan,
    map_,
    polygons,
    scan,
    watch,
    status,
    train,
    tune,
    report,
    assess,
    compare,
    reproduce,
):
    group.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave (SystemExit) with an exit code of this module's table."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    stop = _Stop()
    stop.listen()
    try:
        code = group.main(words, prog_name="sarmap", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort as error:  # what click makes of a KeyboardInterrupt
        _say(str(error.__cause__ or "") or "Interrupted.")
        code = TERMINATED if stop.terminated else INTERRUPTED
    except click.ClickException as error:
        _say(error.format_message())
        code = BAD_INPUT
    except SarmapError as error:
        _raise_if_debug(words)
        _say(str(error))
        code = error.exit_code
    except KeyboardInterrupt as error:
        _say(str(error) or "Interrupted.")
        code = TERMINATED if stop.terminated else INTERRUPTED
    except BrokenPipeError:
        code = FAILED
    except OSError as error:
        _raise_if_debug(words)
        _end_stdout()
        _say(_full(error) or _unexpected(error))
        code = FAILED
    except Exception as error:
        _raise_if_debug(words)
        _say(_unexpected(error))
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)


def _end_stdout() -> None:
    """Drop what standard output does not take: Python would try again at its end, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _full(error: OSError) -> str:
    """The sentence for a full disk; empty where none is."""
    if "No usable temporary directory" in str(error.strerror):
        return "temporary files cannot be written: make room in TMPDIR, and start again."
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    return (
        f"a disk is full ({error.strerror}): the one that standard output, the result or temporary "
        "files (TMPDIR) go to; make room and start again."
    )


def _unexpected(error: Exception) -> str:
    """A sentence for an error that none was made for; its own words may hold a secret."""
    name = type(error).__name__
    if type(error).__module__.partition(".")[0] == "distributed":
        return (
            f"the Dask cluster failed ({name}): read the logs of its scheduler and workers, and "
            "start the command again; what was finished is kept."
        )
    return f"unexpected {name}; run `sarmap --debug ...` to see where."


class _Stop:
    """SIGTERM as an interruption: the same clean end, whoever asks for it."""

    terminated = False

    def listen(self) -> None:
        """Take the signals from now on; only a process's main thread can."""
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, self._end)

    def _end(self, *_: object) -> None:
        self.terminated = True
        raise KeyboardInterrupt


def _raise_if_debug(words: Sequence[str]) -> None:
    """Let the error being handled through, traceback and all, where it was asked for."""
    if "--debug" in words:
        raise


def _say(sentence: str) -> None:
    """One line on standard error."""
    print(f"sarmap: {' '.join(sentence.split())}", file=sys.stderr)
