"""The base of all verbs: --json, --debug, one line per error, and the exit code."""

from __future__ import annotations

import errno
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import click

from sepkit.errors import ConfigError, SepkitError, reason
from sepkit.processes import is_first
from sepkit.terminal import Output, one_line, open_streams, print_json, print_report, program, say

# Exit code of a program that writes into a pipe whose reader has gone.
_BROKEN_PIPE = 128 + 13


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verb: plain data for --json, and the same as lines of text and tables."""

    data: dict[str, Any]
    human: list[Any] = field(default_factory=list)
    exit_code: int = 0


class Verb(click.Command):
    """A command whose function returns a Report."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(
                ["--json", "as_json"], is_flag=True, help="One JSON object on stdout, and nothing else there."
            ),
            click.Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
        ]

    def invoke(self, ctx: click.Context) -> None:
        """Run the verb, print its report, and exit with its code."""
        as_json, debug = ctx.params.pop("as_json"), ctx.params.pop("debug")
        try:
            report: Report = super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if debug:
                raise
            known = isinstance(error, SepkitError)
            code = error.exit_code if isinstance(error, SepkitError) else 1
            text = str(error) if known else f"unexpected {reason(error)}; --debug shows where"
            if is_first() or code != ConfigError.exit_code:  # what is wrong with a config is so for every process
                _print_error(text, code, as_json=as_json)
            ctx.exit(code)
        if is_first():
            print_json(report.data) if as_json else print_report(report.human)
        ctx.exit(report.exit_code)


def run(group: click.Group, args: list[str] | None, name: str = "sepkit") -> int:
    """Run the command line of the program `name` and return its exit code; usage errors are one line as well."""
    with open_streams() as stdout:
        _warn_on_stderr()
        code = _exit_code(group, sys.argv[1:] if args is None else args, name)
        unprinted = _unprinted(stdout)
        return code or unprinted


def _exit_code(group: click.Group, args: list[str], name: str) -> int:
    try:
        with _tidy_end():
            result = group.main(args, prog_name=name, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        _print_error(f"{error.format_message()}{_help_hint(error)}", error.exit_code, as_json="--json" in args)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _print_error("interrupted", 130, as_json="--json" in args)
        return 130
    except Terminated as ended:
        code = 128 + ended.number
        _print_error(f"ended by {signal.Signals(ended.number).name}", code, as_json="--json" in args)
        return code
    return result if isinstance(result, int) else 0


def _unprinted(stdout: Output | None) -> int:
    """Return 0 if the report could be printed; else say why not, and return the exit code.

    A reader that has seen enough, such as `head`, is no fault: the code is that of a program which SIGPIPE ends.
    """
    sys.stdout.flush()
    if stdout is None or stdout.error is None:
        return 0
    if stdout.error.errno == errno.EPIPE:
        return _BROKEN_PIPE
    say(f"Error: stdout: {stdout.error.strerror}; send the report to another file, or to a terminal")
    return 1


class Terminated(BaseException):
    """A signal asked the process to end: SIGTERM, or SIGHUP of a terminal that was closed."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def _tidy_end() -> Iterator[None]:
    """Let these signals end a verb as Ctrl-C does, with everything half done removed. Training has its own way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in known}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_error(text: str, code: int, *, as_json: bool) -> None:
    if as_json and is_first():
        print_json({"error": text, "exit_code": code})
    say(f"Error: {one_line(text)}")


def _help_hint(error: click.ClickException) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        name, *verb = error.ctx.command_path.split()
        return f" See: {shlex.join([*program(name), *verb])} --help"
    return ""


class _OnStderr(logging.Handler):
    """Prints each warning as one line, and once: training reads the same files again and again."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.capitalize()}: {one_line(record.getMessage())}"
        if text not in self._said:
            self._said.add(text)
            say(text)


def _warn_on_stderr() -> None:
    logger = logging.getLogger("sepkit")
    if not logger.handlers:
        logger.addHandler(_OnStderr(logging.WARNING))
        logger.propagate = False
