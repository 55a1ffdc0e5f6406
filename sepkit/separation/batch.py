"""Many songs, one after the other: a bad one is reported, and the next one is done."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sepkit.audio.write import BitDepth
from sepkit.errors import ConfigError, SepkitError, reason
from sepkit.separation.output import names_a_file, targets
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
        ConfigError: one output file for several inputs or stems, or inputs that cannot be told apart by name.
    """
    if names_a_file(output) and (len(inputs) > 1 or len(stems) > 1):
        raise ConfigError(f"-o {output} names one file, for {len(inputs)} inputs and {len(stems)} stems; name a folder")
    inputs = list({path.resolve(): path for path in inputs}.values())
    names = _track_names(inputs)
    _spare_inputs(inputs, [targets(output, name, stems or separator.stems) for name in names])
    results = []
    for path, track in zip(inputs, names, strict=True):
        try:
            written = separator.separate_file(
                path, output, stems=stems, bit_depth=bit_depth, overwrite=overwrite, track=track
            )
        except SepkitError as error:
            say(f"Error: {error}")
            results.append(Result(path, error=str(error), exit_code=error.exit_code))
            continue
        except Exception as error:  # noqa: BLE001  whatever one song does, the next one is done
            say(f"Error: {path}: {reason(error)}")
            results.append(Result(path, error=reason(error), exit_code=1))
            continue
        if written.gain < 1:
            say(f"{path}: all stems turned down by the factor {written.gain:.3f}, or they would clip")
        results.append(Result(path, written.files, written.gain))
    return results


def _spare_inputs(inputs: Sequence[Path], planned: Sequence[dict[str, Path]]) -> None:
    """Refuse to write over a song that is still to be read."""
    sources = {path.resolve() for path in inputs}
    for files in planned:
        for file in files.values():
            if file.resolve() in sources:
                raise ConfigError(f"{file} is one of the songs; give another -o")


def _track_names(inputs: Sequence[Path]) -> list[str]:
    """Name each input by its file, and as much more as tells it from the others: ending, then folder."""
    ways: list[Callable[[Path], str]] = [
        lambda path: path.stem,
        lambda path: path.name,
        lambda path: f"{path.resolve().parent.name}-{path.stem}",
        lambda path: f"{path.resolve().parent.name}-{path.name}",
    ]
    names = [ways[0](path) for path in inputs]
    for way in ways[1:]:
        counts = Counter(names)
        twice = {name for name in names if counts[name] > 1}
        if not twice:
            return names
        if all(
            count == 1 for count in Counter(way(p) for p, n in zip(inputs, names, strict=True) if n in twice).values()
        ):
            names = [way(path) if name in twice else name for path, name in zip(inputs, names, strict=True)]
    double = [str(path) for path, name in zip(inputs, names, strict=True) if names.count(name) > 1]
    if double:
        raise ConfigError(f"these inputs would get one folder: {', '.join(double)}; separate them one by one")
    return names
