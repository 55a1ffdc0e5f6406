"""The promises of every component: to be found by name, and settings that can be kept."""

import subprocess
import sys
import tomllib
from functools import cache
from typing import ClassVar

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from sepkit import config as configs
from sepkit.component import AudioSpec, Component
from sepkit.errors import PluginError, reason
from sepkit.processes import child_environment
from sepkit.registry import COMPONENT_REGISTRIES

HEAVY = ("torch", "torchaudio", "numpy", "scipy", "soundfile", "librosa", "tensorflow", "jax")
"""Packages that take long to import, and that a component's settings must do without."""
_KEYS = {
    "dataset": "datasets",
    "model": "model",
    "loss": "losses",
    "metric": "metrics",
    "augmentation": "augmentations",
}


class Promises:
    """Base of the suites; what `conformance` was given is in its attributes."""

    component: ClassVar[Component]
    audio: ClassVar[AudioSpec] = AudioSpec(8000, 1, ("vocals",))

    def test_is_found_by_its_name(self) -> None:
        """The registry gives this class for its name: the hook returns it, and the entry point is installed."""
        name = self.component.name
        (registry,) = (r for r in COMPONENT_REGISTRIES if r.kind == self.component.kind)
        try:
            found = registry.get(name).component
        except PluginError as error:
            cls = type(self.component).__name__
            pytest.fail(f"{error}. Install the package (pip install -e .), and return {cls} from its hook")
        assert found is type(self.component), f'the {registry.kind} "{name}" is another class, {found.__qualname__}'

    def test_says_in_one_line_what_it_is(self) -> None:
        """The first line of its docstring is what listings show."""
        summary = (type(self.component).__doc__ or "").strip().split("\n")[0]
        assert summary, f"{type(self.component).__name__} has no docstring; its first line is what listings show"

    def test_settings_survive_a_config_file(self) -> None:
        """Settings that are written into a config or a model file are read back equal."""
        key = _KEYS[self.component.kind]
        try:
            table = self.component.model_dump(mode="json")
            values = {key: table if key == "model" else [table]}
            config = configs.validate(values, "the component's settings")
            text = configs.dump_toml(config)
        except Exception as error:  # noqa: BLE001  what cannot be written fails in many ways
            pytest.fail(
                f"settings cannot be written into a config: {reason(error)}. Only plain values can, and no None"
            )
        again = getattr(configs.validate(tomllib.loads(text), "config.toml"), key)
        found = again if key == "model" else again[0]
        assert found == self.component, f"settings changed on their way through a config: {found!r}"

    def test_an_unknown_setting_is_refused(self) -> None:
        """A mistyped setting must not pass silently."""
        try:
            type(self.component).model_validate({**self.component.model_dump(), "no_such_setting": 1})
        except ValidationError:
            return
        pytest.fail("a setting that does not exist is accepted; leave `extra` of model_config as it is")

    def test_settings_are_frozen(self) -> None:
        """The settings of a component in use never change."""
        assert type(self.component).model_config.get("frozen"), "settings can be changed; leave `frozen` as it is"

    def test_settings_have_a_json_schema(self) -> None:
        """Editors complete and check a config by the schema that `sepkit config schema` prints."""
        try:
            TypeAdapter(type(self.component)).json_schema()
        except PydanticUserError as error:
            pytest.fail(f"`sepkit config schema` cannot describe it: {reason(error)}")

    def test_settings_import_nothing_heavy(self) -> None:
        """A listing or a config must not cost the import of torch: implementations are imported in build()."""
        module = type(self.component).__module__
        found = _imported_with(module)
        assert not found, f"importing {module} imports {found}; import heavy packages in build() or tracks()"


@cache
def _imported_with(module: str) -> str:
    """Return the heavy packages that the import of a module costs, in a process of its own."""
    code = f"import sys; import {module}; print(*sorted({{*{HEAVY!r}}} & set(sys.modules)))"
    env = child_environment()
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, f"the module {module} cannot be imported alone: {done.stderr.strip()}"
    return done.stdout.strip()
