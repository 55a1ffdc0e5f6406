"""Songs to learn from, at one level: voices, recorded accompaniments, words sung by flite, MIDI rendered by fluidsynth.

Each becomes `FOLDER/<corpus>/<song>/{vocals,accompaniment}.flac`; a song may have one of the two alone. A file that is
there is not made again, so a stopped run goes on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from accompany import accompanied, performances
from midi import has_choir
from numpy.typing import NDArray
from sing import SINGERS, sung
from speak import joined, prompts

Samples = NDArray[np.float32]

RATE = 22050
"""Rate in Hz of the rendered files, that of the network."""
LEVELS = {"vocals": -16.0, "accompaniment": -17.0}
"""RMS of the seconds that sound, in dB of full scale."""
WITHOUT_VOICE = (
    "A New Journey", "Advanced Simulacra", "By-Product", "Coherence", "Enemy Unknown", "Nebula", "Orbital Elevator",
)  # fmt: skip
"""Songs of singularity-music in which Spleeter finds a voice below -20 dB of the mixture everywhere."""
EVERY = 4
"""Of the drum performances, one in so many is accompanied: three hours are enough."""
SILENT = 0.003
"""RMS of a second up to which it counts as silence."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The folders of the raw material.

    Attributes:
        audio: Folder with voices/sek, voices/pjs, midi/freedoom and midi/groove.
        metal: Folder of the songs of Debian's fretsonfire-songs-sectoid.
        electronic: Folder of the songs of Debian's singularity-music.
        speech: Folder of the speakers of Debian's asterisk-core-sounds-{en,es,fr,it,ru}-g722.
        soundfonts: Name -> file.
    """

    audio: Path
    metal: Path = Path("/usr/share/games/fretsonfire/data/songs/sectoid")
    electronic: Path = Path("/usr/share/games/singularity/music")
    speech: Path = Path("/usr/share/asterisk/sounds")
    soundfonts: tuple[tuple[str, Path], ...] = (
        ("fluid", Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")),
        ("musescore", Path("/usr/share/sounds/sf3/MuseScore_General_Full.sf3")),
    )


@dataclass(frozen=True, slots=True)
class Stem:
    """A file to be made, relative to the output folder, and what returns its samples [time, channel] and rate."""

    path: Path
    make: Callable[[], tuple[Samples, int]]


def render(sources: Sources, folder: Path, seed: int) -> None:
    """Make each file that is not there yet, as many at a time as there are processors."""
    missing = [stem for stem in stems(sources, seed) if not (folder / stem.path).exists()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, stem in enumerate(pool.map(partial(_write, folder), missing), 1):
            print(f"{number}/{len(missing)} {stem}", flush=True)


def stems(sources: Sources, seed: int) -> Iterator[Stem]:
    """Yield all files of all corpora."""
    for corpus in ("sek", "pjs"):
        for file in sorted((sources.audio / "voices" / corpus).glob("*/*.ogg")):
            yield Stem(Path(corpus, file.parent.name, f"{file.stem}.flac"), partial(_recorded, (file,)))
    for song in sorted(sources.metal.glob("*/song.ogg")):
        path = Path("metal", song.parent.name, "accompaniment.flac")
        yield Stem(path, partial(_recorded, (song, song.with_name("guitar.ogg"))))
    for song in WITHOUT_VOICE:
        path = Path("singularity", song, "accompaniment.flac")
        yield Stem(path, partial(_recorded, (sources.electronic / f"{song}.ogg",)))
    for name, files in prompts(sources.speech, seed):
        yield Stem(Path("speech", name, "vocals.flac"), partial(joined, files))
    for singer in SINGERS:
        for number in range(singer.songs):
            path = Path("flite", f"{singer.voice}{number:02d}", "vocals.flac")
            yield Stem(path, partial(sung, singer, number))
    for name, soundfont in sources.soundfonts:
        for file in sorted((sources.audio / "midi" / "freedoom").glob("*.mid")):
            if has_choir(file.read_bytes()):
                continue
            path = Path(f"freedoom-{name}", file.stem, "accompaniment.flac")
            yield Stem(path, partial(_rendered, file.read_bytes, soundfont))
    for number, performance in enumerate(performances(sources.audio / "midi" / "groove")[::EVERY]):
        _, soundfont = sources.soundfonts[number % len(sources.soundfonts)]
        path = Path("groove", performance.name, "accompaniment.flac")
        yield Stem(path, partial(_rendered, partial(accompanied, performance, seed), soundfont))


def validation_songs(mir1k: Path, folder: Path) -> None:
    """Make a song of the first clip of each singer of MIR-1K, its voice 4 dB below the accompaniment."""
    for singer, clips in groupby(sorted(mir1k.iterdir()), lambda clip: clip.name.partition("_")[0]):
        clip = next(clips)
        for name, decibels in (("vocals", -21.0), ("accompaniment", -17.0)):
            samples, rate = soundfile.read(clip / f"{name}.flac", dtype="float32", always_2d=True)
            gain = 10 ** (decibels / 20) / np.sqrt((samples**2).mean())
            _save(folder / singer / f"{name}.flac", samples * np.float32(gain), rate)


def _write(folder: Path, stem: Stem) -> Path:
    samples, rate = stem.make()
    _save(folder / stem.path, levelled(samples, rate, LEVELS[stem.path.stem]), rate)
    return stem.path


def _save(target: Path, samples: Samples, rate: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    soundfile.write(temporary, samples, rate, "PCM_16", format="FLAC")
    temporary.replace(target)


def levelled(samples: Samples, rate: int, decibels: float) -> Samples:
    """Return samples [time, channel] whose sounding seconds have an RMS, as far as the largest one stays below 1."""
    seconds = samples[: max(1, len(samples) // rate) * rate].mean(1).reshape(-1, min(rate, len(samples)))
    energies = (seconds**2).mean(1)
    energies = energies[energies > min(SILENT**2, energies.max() / 2)]
    gain = 10 ** (decibels / 20) / np.sqrt(energies.mean())
    return samples * np.float32(min(gain, 0.99 / np.abs(samples).max()))


def _recorded(files: tuple[Path, ...]) -> tuple[Samples, int]:
    """Add up recordings of one song."""
    read = [soundfile.read(file, dtype="float32", always_2d=True) for file in files]
    total = np.zeros((max(len(samples) for samples, _ in read), max(s.shape[1] for s, _ in read)), np.float32)
    for samples, _ in read:
        total[: len(samples)] += samples
    return total, read[0][1]


def _rendered(midi: Callable[[], bytes], soundfont: Path) -> tuple[Samples, int]:
    with TemporaryDirectory() as folder:
        score, sound = Path(folder, "score.mid"), Path(folder, "sound.wav")
        score.write_bytes(midi())
        command = ["fluidsynth", "-ni", "-q", "-F", sound, "-T", "wav", "-O", "float", "-r", str(RATE)]
        subprocess.run([*command, soundfont, score], check=True, capture_output=True)
        samples, rate = soundfile.read(sound, dtype="float32", always_2d=True)
    return samples, rate
