"""The output of a run: a folder and a template for the names of stems, or one file; and their format."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from string import Formatter
from typing import get_args

from sepkit.audio.formats import EXTENSIONS
from sepkit.audio.tags import Tags
from sepkit.audio.writing.encoding import BitDepth, Encoding, Format
from sepkit.errors import ConfigError, did_you_mean
from sepkit.songs.work_folder import PREFIX

FORMATS: tuple[Format, ...] = get_args(Format)
FIELDS = ("track", "stem", "artist", "title")
ONE_FILE_EACH, ALL_IN_ONE = "{track}/{stem}", "{track}"
"""The default templates: with a file for each stem, and with one for all of them."""

# Bytes of a file name, on most file systems.
_LONGEST = 255
# Bytes kept at the end of a name that is too long: they may hold the stem.
_KEPT_END = 60
# Refused in names by some file system; tags may hold anything.
_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


@dataclass(frozen=True, slots=True)
class Output:
    """The places and the format of stems.

    `path` is a folder, in which `template` names the files, or one file (`one_file`) for the first stem, or for all of
    them if the format holds several.
    """

    path: Path
    encoding: Encoding = field(default_factory=Encoding)
    template: str = ONE_FILE_EACH
    one_file: bool = False

    @classmethod
    def of(cls, path: Path, format: Format | None, bit_depth: BitDepth | None, template: str = "") -> "Output":  # noqa: A002
        """Return the output that `-o`, `--format`, `--bit-depth` and `--template` (empty: the default) mean together.

        Raises:
            ConfigError: they contradict each other, or the template has a field that does not exist.
        """
        named = _format_of(path)
        if named is None:
            encoding = Encoding(format or "wav", bit_depth)
            default = ALL_IN_ONE if encoding.format == "stem.mp4" else ONE_FILE_EACH
            template = template.removesuffix(f".{encoding.format}") or default
            _check_template(template, encoding.format)
            return cls(path, encoding, template)
        if template:
            raise ConfigError(f"-o {path} names one file, so --template has nothing to name; name a folder")
        if format not in (None, named):
            raise ConfigError(f"-o {path} and --format {format} contradict each other; give one of them")
        return cls(path, Encoding(named, bit_depth), one_file=True)

    @property
    def root(self) -> Path:
        """The folder that holds everything."""
        return self.path.parent if self.one_file else self.path

    @property
    def all_in_one(self) -> bool:
        """One file holds all stems of a song."""
        return self.encoding.format == "stem.mp4"

    def targets(self, track: str, tags: Tags, stems: Sequence[str]) -> dict[str, Path]:
        """Return {stem: file} for a song, all within `root`. `track` may hold folders."""
        if self.one_file:
            return dict.fromkeys(stems if self.all_in_one else stems[:1], self.path)
        name = track.rsplit("/", 1)[-1]
        values = {"track": track, "artist": _in_name(tags.artist) or "unknown", "title": _in_name(tags.title) or name}
        return {stem: self._file({**values, "stem": stem}) for stem in stems}

    def _file(self, values: dict[str, str]) -> Path:
        *folders, name = self.template.format(**values).split("/")
        return self.path.joinpath(*map(safe_name, folders), safe_name(name, f".{self.encoding.format}"))

    def check(self, files: Iterable[Path], *, overwrite: bool) -> None:
        """Raise ConfigError for files that exist, unless they may be replaced, for folders and for symbolic links."""
        for file in files:
            places = [file] if self.one_file else [file, *file.parents]
            links = [place for place in places if place.is_relative_to(self.path) and place.is_symlink()]
            if links:
                raise ConfigError(
                    f"{links[-1]} is a symbolic link, and nothing is written through links; give another -o"
                )
            if file.is_dir():
                raise ConfigError(f"{file} is a folder; give another -o")
            if file.exists() and not overwrite:
                raise ConfigError(f"{file} exists; give another -o, or --overwrite to replace it")


def _format_of(path: Path) -> Format | None:
    """Return the format that the ending of `-o` names, or None for a folder."""
    name = path.name.lower()
    found = [known for known in FORMATS if name.endswith(f".{known}")]
    if found:
        return found[0]
    if name.endswith(EXTENSIONS):
        raise ConfigError(f"-o {path}: cannot write that format; it writes {', '.join(FORMATS)}, or name a folder")
    return None


def _check_template(template: str, format: Format) -> None:  # noqa: A002
    problem = _problem(template)
    if not problem and format == "stem.mp4" and "{stem}" in template:
        problem = "a .stem.mp4 holds all stems, so {stem} has no value"
    if not problem and format != "stem.mp4" and "{stem}" not in template:
        problem = "{stem} is missing, so all stems would be one file"
    if problem:
        raise ConfigError(f'--template "{template}": {problem}. Fields: {", ".join(f"{{{f}}}" for f in FIELDS)}')


def _problem(template: str) -> str:
    """Return the fault of a template, or an empty string."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        return "its brackets do not match"
    for _, name, form, conversion in parts:
        if name is not None and name not in FIELDS:
            return f'no field "{name}"{did_you_mean(name, FIELDS).rstrip("?")}'
        if form or conversion:
            return f'"{name}" takes no format and no conversion'
    folders = template.split("/")
    if "\\" in template or any(not part.strip(". ") for part in folders):
        return "each part must be a name, for it must stay below the output folder"
    if not template.isprintable() or any(part.count("{") != part.count("}") for part in folders):
        return "it cannot be a path"
    return ""


def _in_name(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", " ".join(text.split()))


def safe_name(name: str, ending: str = "") -> str:
    """Return a part of a path that stays in its folder, unlike "..", is no work folder, and is not too long.

    The middle of a name that is too long is replaced by a hash of the name.
    """
    if not name.strip(". ") or name.startswith(PREFIX):
        name = f"_{name}"
    encoded = name.encode("utf-8", "surrogateescape")
    room = _LONGEST - len(ending)
    if len(encoded) > room:
        number = f"~{sha256(encoded).hexdigest()[:8]}~"
        start, end = encoded[: room - _KEPT_END - len(number)], encoded[-_KEPT_END:]
        name = number.join(part.decode("utf-8", "ignore") for part in (start, end))
    return f"{name}{ending}"
