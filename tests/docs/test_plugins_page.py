"""docs/plugins.md: every code block is run, and what it says of hooks is what there is."""

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib

import pytest

from sepkit import hookspecs
from sepkit.plugins import HOOKS
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


def blocks(language):
    return [block.split("```")[0] for block in PAGE.split(f"```{language}\n")[1:]]


def run(*args, env=None):
    command = [sys.executable, "-m", *map(str, args)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The packages of the page as their authors would write them: each a pyproject, a module and a test."""
    (toml,), python = blocks("toml"), blocks("python")
    root = tmp_path_factory.mktemp("packages")
    assert len(python) == 2 * len(HOOKS)
    for source, test in zip(python[::2], python[1::2], strict=True):
        (module,) = re.findall(r"^from (sepkit_\w+) import", test, re.MULTILINE)
        package = root / module
        (package / "tests").mkdir(parents=True)
        (package / f"{module}.py").write_text(source)
        (package / "tests" / f"test_{module}.py").write_text(test)
        name = module.removeprefix("sepkit_")
        named = (
            toml.replace("sepkit_fir", module)
            .replace("sepkit-fir", module.replace("_", "-"))
            .replace("fir =", f"{name} =")
        )
        (package / "pyproject.toml").write_text(named)
    return root


@pytest.fixture(scope="module")
def installed(written, tmp_path_factory):
    """An environment with the packages in it."""
    site = tmp_path_factory.mktemp("site")
    run("pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site, *written.iterdir())
    return {**os.environ, "PYTHONPATH": str(site)}


def test_the_examples_install_and_provide_what_the_page_says(installed):
    listed = json.loads(run("sepkit", "plugins", "list", "--json", env=installed))["plugins"]
    provided = {row["distribution"]: row["provides"] for row in listed if not row["error"]}
    for distribution, provides in {
        "sepkit-fir": {"model": ["fir"]},
        "sepkit-singers": {"dataset": ["singers"]},
        "sepkit-log-cosh": {"loss": ["log_cosh"]},
        "sepkit-level-error": {"metric": ["level_error"]},
        "sepkit-shift": {"augmentation": ["shift"]},
    }.items():
        assert provided[distribution] == provides


def test_the_tests_of_the_examples_pass(written, installed):
    out = run("pytest", "-q", "-p", "no:cacheprovider", "--rootdir", written, written, env=installed)
    passed = int(re.search(r"(\d+) passed", out)[1])
    assert passed > 80


def test_every_hook_is_there_with_what_it_returns_and_what_its_base_asks_for():
    rows = dict(re.findall(r"^\| `(sepkit_\w+)\(\)` \| `(.*?)` \|", PAGE, re.MULTILINE))
    assert rows.items() >= {hook: f"list[type[{base.__name__}]]" for hook, base in HOOKS.items()}.items()
    for hook, base in HOOKS.items():
        signature = inspect.signature(getattr(hookspecs, hook))
        assert not signature.parameters
        assert signature.return_annotation == list[type[base]]
        (method,) = base.__abstractmethods__
        arguments = ", ".join(str(p) for p in list(inspect.signature(getattr(base, method)).parameters.values())[1:])
        assert re.search(rf"`{hook}\(\)`.*`{method}\({re.escape(arguments.replace(chr(39), ''))}\) -> ", PAGE)


def test_the_version_that_the_page_asks_for_is_the_one_of_today():
    wanted = tomllib.loads(blocks("toml")[0])["project"]["dependencies"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    major, minor, *_ = version.split(".")
    assert wanted == [f"sepkit>={major}.{minor},<{major}.{int(minor) + 1}"]
