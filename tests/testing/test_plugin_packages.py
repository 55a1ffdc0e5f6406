"""The packages in plugins/ keep the promises that strangers' are asked to keep."""

import re

import pytest

from sepkit.plugins import HOOKS
from tests.conftest import ROOT

PACKAGES = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))


def provided(package):
    (module,) = package.glob("sepkit_*/__init__.py")
    hooks = rf"^def (?:{'|'.join(HOOKS)})\(.*?return \[(.+?)\]"
    found = re.findall(hooks, module.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return {name for names in found for name in names.split(", ")}


def test_components_are_found():
    assert set.union(*map(provided, PACKAGES)) >= {"HTDemucs", "LogWMSE", "OpenUnmix", "HDemucs", "ConvTasNet"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_component_of_a_package_has_the_suite_of_its_kind(package):
    tests = "\n".join(path.read_text(encoding="utf-8") for path in package.glob("tests/*.py"))
    assert provided(package) <= set(re.findall(r"^Test\w+ = conformance\((\w+)\(", tests, re.MULTILINE))
