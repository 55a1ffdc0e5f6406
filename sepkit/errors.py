"""The errors that users meet. A message is `<path>: <fact>; <imperative>`.

Every kind carries the exit code that the command line ends with: 1 for audio, corpora, model files and runs that
failed, 2 for arguments and configuration.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path


class SepkitError(Exception):
    """Base of all errors that sepkit raises on purpose."""

    exit_code = 1


class ConfigError(SepkitError):
    """Arguments or configuration that cannot be used."""

    exit_code = 2


class PluginError(ConfigError):
    """A component or the plugin behind it that is unknown, broken or ambiguous."""


class AudioError(SepkitError):
    """An audio file that cannot be read or written."""


class CorpusError(SepkitError):
    """A folder that is not the corpus it should be."""


class ModelFileError(SepkitError):
    """A model file that is missing, corrupt, or written for something else."""


class CacheError(SepkitError, OSError):
    """No folder to keep anything in. An OSError as well, as from a folder that cannot be written."""


class WorkerError(SepkitError):
    """A worker process that cannot be started, or died."""


class TrainingError(SepkitError):
    """A run that cannot go on."""


def did_you_mean(asked: str, candidates: Iterable[str]) -> str:
    """Return ``' Did you mean "x"?'`` for the candidate closest to `asked`, or an empty string."""
    close = get_close_matches(asked, list(candidates), n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""


def did_you_mean_path(path: Path, kind: Callable[[Path], bool] = Path.is_file) -> str:
    """Return ``' Did you mean "configs/vocals.toml"?'`` for the closest existing path, or an empty string.

    Each missing part is replaced by the closest name beside it; `kind` tests the whole.
    """
    guess = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        wanted = kind if len(guess.parts) + 1 == len(path.parts) else Path.is_dir
        if not wanted(guess / part):
            try:
                close = get_close_matches(part, (p.name for p in guess.iterdir() if wanted(p)), n=1, cutoff=0.6)
            except (OSError, ValueError):  # a folder that may not be read, a name with a null byte
                return ""
            if not close:
                return ""
            guess /= close[0]
        else:
            guess /= part
    return f' Did you mean "{guess}"?'


def reason(error: BaseException) -> str:
    """Return `error` as one line: its kind and its message."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
