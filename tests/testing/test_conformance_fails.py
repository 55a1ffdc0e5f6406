"""Each check of the conformance suite is seen to fail: a broken component fails exactly that, with words that help.

The components are in `broken/`, where `fails` holds the checks that each must fail, and what they must say. Those that
must fail several break what other promises are built upon.
"""

import re
from importlib import import_module

import pytest

from sepkit import plugins
from sepkit.testing import conformance
from sepkit.testing.conformance import SUITES

ROOMS = ("augmentations", "datasets", "heavy", "losses", "metrics", "models")
BROKEN = [cls for room in ROOMS for cls in import_module(f"tests.testing.broken.{room}").ALL]
TESTS = """
from importlib import import_module
from sepkit.testing import conformance
for cls in import_module("tests.testing.broken.{room}").ALL:
    globals()["Test_" + cls.model_fields["name"].default] = conformance(cls(), **getattr(cls, "options", {{}}))
"""


class Outcomes:
    """A plugin of an inner pytest: {component: {check: message}} of what failed, and which checks ran."""

    def __init__(self):
        self.failed, self.ran = {}, {}

    def pytest_runtest_logreport(self, report):
        suite, check = report.nodeid.split("::")[1:]
        name = suite.removeprefix("Test_")
        self.ran.setdefault(name, set()).add(check)
        if report.failed:
            self.failed.setdefault(name, {})[check] = str(report.longrepr.reprcrash.message)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Run the suite of every broken component once, installed as plugins.

    The files have names that no other test file has, as pytest knows them by name alone.
    """
    site, found = tmp_path_factory.mktemp("site"), Outcomes()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        for room in ROOMS:
            info = site / f"broken_{room}-1.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: broken-{room}\nVersion: 1\n")
            (info / "entry_points.txt").write_text(f"[sepkit]\n{room} = tests.testing.broken.{room}\n")
            (site / f"test_broken_{room}_inside.py").write_text(TESTS.format(room=room))
        plugins.external.cache_clear()
        files = [str(site / f"test_broken_{room}_inside.py") for room in ROOMS]
        off = [arg for name in ("cacheprovider", "faulthandler", "terminal") for arg in ("-p", f"no:{name}")]
        pytest.main([*files, *off, "--rootdir", str(site), "-c", "/dev/null"], [found])
    plugins.external.cache_clear()
    return found


@pytest.mark.fuzz
@pytest.mark.parametrize("cls", BROKEN, ids=lambda cls: f"{cls.kind}-{cls.__name__}")
def test_a_broken_component_fails_exactly_the_checks_of_what_it_breaks(outcomes, cls):
    failed = outcomes.failed.get(cls.registered_name(), {})
    assert failed.keys() == cls.fails.keys(), failed
    for check, words in cls.fails.items():
        assert re.search(words, failed[check]), failed[check]


@pytest.mark.parametrize("kind", SUITES)
def test_every_check_of_a_kind_is_failed_by_some_component_of_it(kind):
    own = {check for check in dir(SUITES[kind]) if check.startswith("test_")}
    common = {check for check in own if kind != "loss" and check in vars(SUITES[kind].__mro__[-2])}
    failed = {check for cls in BROKEN if cls.kind == kind for check in cls.fails}
    assert own - common - failed == set()


def test_what_is_no_component_is_refused():
    with pytest.raises(TypeError, match="takes a component with its settings, such as UNet"):
        conformance(BROKEN[0])
