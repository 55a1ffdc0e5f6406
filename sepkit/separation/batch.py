"""Many songs, one after the other: a bad one is reported, and the next one is done."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sepkit.audio.write import BitDepth
from sepkit.errors import ConfigError, SepkitError
from sepkit.separation.output import is_file_name
from sepkit.separation.separator import Separator


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input."""

    input: Path
    files: dict[str, Path] = field(default_factory=dict)
    gain: float = 1.0
    error: str = ""
    exit_code: int = 0


def separate_files(
    separator: Separator,
    inputs: Sequence[Path],
    output: Path,
    *,
    stems: tuple[str, ...] = (),
    bit_depth: BitDepth = "16",
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Separate each input into `output`. Arguments as in `Separator.separate_file`; `say` is told of each fault.

    Raises:
        ConfigError: several inputs and one output file.

    """
    if len(inputs) > 1 and is_file_name(output):
        raise ConfigError(f"-o {output} names one file, but there are {len(inputs)} inputs; name a folder")
    results = []
    for path, track in zip(inputs, _track_names(inputs), strict=True):
        try:
            written = separator.separate_file(
                path, output, stems=stems, bit_depth=bit_depth, overwrite=overwrite, track=track
            )
        except SepkitError as error:
            say(f"Error: {error}")
            results.append(Result(path, error=str(error), exit_code=error.exit_code))
            continue
        if written.gain < 1:
            say(f"{path}: all stems turned down by the factor {written.gain:.3f}, or they would clip")
        results.append(Result(path, written.files, written.gain))
    return results


def _track_names(inputs: Sequence[Path]) -> list[str]:
    """The name of each file without its ending; with it where two would be the same."""
    counts = Counter(path.stem for path in inputs)
    return [path.stem if counts[path.stem] == 1 else path.name for path in inputs]
