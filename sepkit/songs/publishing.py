"""Complete files take their names: all or none, and never over a file that may not be replaced."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from sepkit.atomic import flush
from sepkit.errors import ConfigError


def publish(finished: Mapping[Path, Path], aside: Path, *, overwrite: bool) -> None:
    """Give {complete file: target} their names. All files are in one folder; so is `aside`, which must not exist yet.

    If all targets are in one folder that does not exist, it appears with all of them at once. Else they appear one by
    one; after a failure all are removed, and earlier files restored.

    Raises:
        ConfigError: a target has appeared meanwhile, and `overwrite` is not set.
        OSError: a file cannot be put there.
    """
    (source, *_), (folder, *others) = {path.parent for path in finished}, {path.parent for path in finished.values()}
    if not others and not folder.exists() and all(path.name == target.name for path, target in finished.items()):
        folder.parent.mkdir(parents=True, exist_ok=True)
        source.rename(folder)
        _flush(folder, folder.parent)
        return
    aside.mkdir()
    done: list[tuple[Path, Path | None]] = []
    try:
        for number, (path, target) in enumerate(finished.items()):
            target.parent.mkdir(parents=True, exist_ok=True)
            before = _kept(target, aside / str(number)) if overwrite else None
            _put(path, target, overwrite=overwrite)
            done.append((target, before))
    except BaseException:
        _undo(done)
        raise
    _flush(*{target.parent for target in finished.values()})


def _kept(target: Path, copy: Path) -> Path | None:
    """Keep an earlier file under another name as well."""
    if not target.exists():
        return None
    try:
        os.link(target, copy)
    except OSError:  # a disk without hard links
        shutil.copy2(target, copy)
    return copy


def _put(path: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        path.replace(target)
        return
    if target.exists():
        raise ConfigError(f"{target} has appeared meanwhile; give another -o, or --overwrite to replace it")
    try:
        os.link(path, target)  # unlike a renaming, it never replaces what another process has put there just now
    except FileExistsError:
        raise ConfigError(f"{target} has appeared meanwhile; give another -o, or --overwrite to replace it") from None
    except OSError:
        path.rename(target)


def _undo(done: list[tuple[Path, Path | None]]) -> None:
    """Remove new files, and restore earlier ones."""
    for target, before in done:
        target.unlink(missing_ok=True)
        if before is not None:
            before.replace(target)


def _flush(*folders: Path) -> None:
    for folder in folders:
        flush(folder)
