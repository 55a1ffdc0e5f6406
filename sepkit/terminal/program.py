"""Commands as they can be typed here: the path of a program stands for its name where PATH does not lead to it."""

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path


def program(name: str = "sepkit", module: str = "") -> list[str]:
    """Return the words that start a program of this environment; `module` is its module, if that has another name."""
    beside = shutil.which(name, path=sysconfig.get_path("scripts"))
    found = shutil.which(name)
    if found and (beside is None or Path(found).samefile(beside)):
        return [name]
    if beside is None:
        return [sys.executable, "-m", module or name]
    path = Path(beside)
    if not path.is_relative_to(Path.cwd()):
        return [beside]
    below = str(path.relative_to(Path.cwd()))
    return [below if os.sep in below else os.path.join(".", below)]  # noqa: PTH118  a Path drops the dot


def command(*words: object) -> str:
    """Return the command line of sepkit with these arguments."""
    return shlex.join([*program(), *map(str, words)])
