"""A new plugin package: the files of the templates with its names in them, all of them or none.

Templates lie in `templates/common` and `templates/<kind>`. A folder `package` and a file `test_component.py` get the
names of the new package; `$names` within a file are those of `_names`.
"""

import re
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from string import Template
from tempfile import mkdtemp

from packaging.version import Version

from sepkit.atomic import umask
from sepkit.errors import ConfigError
from sepkit.plugins import HOOKS
from sepkit.registry import COMPONENT_REGISTRIES

_TEMPLATES = Path(__file__).with_name("templates")
_SUFFIX = ".tmpl"
_NAME = re.compile(r"(?:sepkit[-_])?([a-z][a-z0-9]*(?:[-_][a-z0-9]+)*)")
_USE = {
    "model": """model={name="$component"}""",
    "dataset": """datasets=[{name="$component", root="data/$component"}]""",
    "loss": """losses=[{name="$component"}]""",
    "metric": """metrics=[{name="sdr"}, {name="$component"}]""",
    "augmentation": """augmentations=[{name="$component"}]""",
}
_HOOKS = {base.kind: hook for hook, base in HOOKS.items()}


@dataclass(frozen=True, slots=True)
class NewPlugin:
    """A package that was made: where it is, what it is called, and what to give to `--set` to use its component."""

    folder: Path
    kind: str
    component: str
    distribution: str
    package: str
    setting: str
    files: tuple[str, ...]


def new_plugin(name: str, kind: str) -> NewPlugin:
    """Make the folder `name` in the working folder: a package `sepkit-...` with one component that works.

    Args:
        name: "foo" or "sepkit-foo"; the component is called "foo" either way.
        kind: "model", "dataset", "loss", "metric" or "augmentation".

    Raises:
        ConfigError: a name that cannot be used, a folder, package or component of that name that exists, or a folder
            that cannot be written.
    """
    folder, component = Path(name), _component(name)
    package, wanted = f"sepkit_{component}", f"sepkit-{component.replace('_', '-')}"
    _check_new(folder, kind, component, wanted)
    setting = Template(_USE[kind]).substitute(component=component)
    names = {
        "folder": str(folder), "kind": kind, "component": component, "distribution": wanted, "package": package,
        "setting": setting, "requirement": _requirement(), "hook": _HOOKS[kind], "base": f"{kind.capitalize()}Config",
        "cls": _class_name(component, kind),
    }  # fmt: skip
    try:
        _publish({path: Template(text).substitute(names) for path, text in _templates(kind, names)}, folder)
    except OSError as error:
        raise ConfigError(f"the folder {folder.resolve()} cannot be written ({error})") from None
    files = tuple(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file())
    return NewPlugin(folder, kind, component, wanted, package, setting, files)


def _component(name: str) -> str:
    match = _NAME.fullmatch(name)
    if not match:
        raise ConfigError(
            f'"{name}" cannot name a plugin. Use lower-case letters, digits and single hyphens, with a letter '
            'first, such as "unet" or "sepkit-unet"'
        )
    return match[1].replace("-", "_")


def _check_new(folder: Path, kind: str, component: str, wanted: str) -> None:
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{folder.resolve()} exists already; choose another name, or another working folder")
    (registry,) = (r for r in COMPONENT_REGISTRIES if r.kind == kind)
    for entry in registry.entries():
        if entry.name == component:
            owner = f"{entry.plugin.distribution} {entry.plugin.version}"
            raise ConfigError(f'there is a {kind} "{component}" already, of {owner}; choose another name')
    try:
        installed = distribution(wanted).version
    except PackageNotFoundError:
        return
    raise ConfigError(f"{wanted} {installed} is installed here already; choose another name, or uninstall it")


def _requirement() -> str:
    """Return the versions of sepkit that the new package is for: up to the next one that may change its contracts."""
    running = Version(version("sepkit"))
    lowest = running.public if running.is_prerelease else f"{running.major}.{running.minor}"
    highest = f"{running.major + 1}" if running.major else f"0.{running.minor + 1}"
    return f"sepkit>={lowest},<{highest}"


def _class_name(component: str, kind: str) -> str:
    """Return "MyNetModel" for the model "my_net": with its kind, it is no name that templates import."""
    return "".join(part.capitalize() for part in (*component.split("_"), kind))


def _templates(kind: str, names: dict[str, str]) -> list[tuple[Path, str]]:
    """Return each file of the new package, and the template of its content."""
    found = []
    for root in (_TEMPLATES / "common", _TEMPLATES / kind):
        for path in sorted(root.rglob(f"*{_SUFFIX}")):
            relative = str(path.relative_to(root)).removesuffix(_SUFFIX)
            named = relative.replace("package", names["package"], 1).replace(
                "test_component", f"test_{names['component']}"
            )
            found.append((Path(named), path.read_text(encoding="utf-8")))
    return found


def _publish(contents: dict[Path, str], folder: Path) -> None:
    """Write all files into a temporary folder, and give it its name at last."""
    unfinished = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    try:
        for path, text in contents.items():
            (unfinished / path).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / path).write_text(text, encoding="utf-8")
        unfinished.chmod(0o777 & ~umask())
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
