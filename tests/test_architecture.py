"""The promises that the folder listing makes: imports go one way, and cheap things stay cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent


def test_imports_go_one_way():
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_modules_import_each_other_but_the_settings_and_the_network_of_a_component():
    """Imports in functions and for types count. Settings build their network, and the network reads its settings."""
    graph = grimp.build_graph("sepkit", exclude_type_checking_imports=False, cache_dir=None)
    known = {"sepkit.models.crnn_network": {"sepkit.models.crnn"}}
    imports = {m: graph.find_modules_directly_imported_by(m) - known.get(m, set()) for m in graph.modules}
    while leaves := {module for module, found in imports.items() if not found & imports.keys()}:
        imports = {module: found for module, found in imports.items() if module not in leaves}
    assert imports == {}


@pytest.mark.parametrize(
    "code",
    [
        "import sepkit",
        "import sepkit.cli",
        "import sepkit.builtin, sepkit.config; sepkit.config.validate({}, 'test')",
        "from click.testing import CliRunner; from sepkit.cli.app import sepkit as s; "
        "assert CliRunner().invoke(s, ['--help']).exit_code == 0",
    ],
)
def test_configs_and_help_import_neither_torch_nor_numpy(code):
    check = "; import sys; print(sorted({'torch', 'numpy', 'soundfile', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_process_that_decodes_imports_no_components():
    """It is there sooner, and takes two thirds of the memory."""
    code = "import sepkit.audio.untrusted.decoder_process, sys; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_function_is_longer_than_sixty_lines():
    lengths = {
        f"{path.relative_to(ROOT)}: {node.name}": node.end_lineno - node.lineno + 1
        for path in (ROOT / "sepkit").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert len(lengths) > 500
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


def test_the_command_and_the_module_are_the_same():
    script = Path(sys.executable).parent / "sepkit"
    command, as_module = (
        subprocess.run([*call, "--help"], capture_output=True, text=True, check=True).stdout
        for call in ([script], [sys.executable, "-m", "sepkit"])
    )
    assert command == as_module
    assert command.startswith("Usage: sepkit ")
