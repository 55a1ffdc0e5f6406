"""Convert weights from a file of PyTorch to a model file."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sepkit.checkpoints import model_file, tensor_file, torch_file
from sepkit.config import RunConfig
from sepkit.errors import ConfigError, ModelFileError

# Usual keys of a network's weights in a file, in the order of the search.
_USUAL_KEYS = (
    "state_dict", "model_state_dict", "model_state", "model", "weights", "network", "net", "params", "state",
)  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """The file, its numbers of tensors and of parameters, and notes on the conversion."""

    path: Path
    tensors: int
    parameters: int
    notes: tuple[str, ...]


def convert(source: Path, output: Path, config: RunConfig, *, overwrite: bool = False) -> Imported:
    """Write the weights in `source`, a file of PyTorch, as a model file of the network that `config` describes.

    Raises:
        ConfigError: `output` cannot be the name of the new file.
        ModelFileError: `source` is missing, corrupt or more than weights, or these do not fit the network.
    """
    _check_output(source, output, overwrite=overwrite)
    with torch.device("meta"):
        network = config.model.build(config.audio)
    expected = network.state_dict()
    place, held = _state_dict(source, torch_file.load(source))
    prefix = _prefix(held, expected)
    found = {name.removeprefix(prefix): tensor for name, tensor in held.items()}
    weights, converted = _fitted(source, found, expected)
    _check_finite(source, weights)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelFileError(f"{output}: its folder cannot be made ({error})") from None
    tensor_file.write(output, weights, model_file.manifest_of(config))
    notes = [f'Found under "{place}"'] if place else []
    notes += [f'Removed the prefix "{prefix}" from every name'] if prefix else []
    return Imported(output, len(weights), _parameters(network), (*notes, *converted))


def _check_output(source: Path, output: Path, *, overwrite: bool) -> None:
    if output.suffix != ".safetensors":
        raise ConfigError(f"-o {output}: the name of a model file ends in .safetensors")
    if not output.exists():
        return
    if source.exists() and output.samefile(source):
        raise ConfigError(f"-o {output} is the file to import; name another")
    if not output.is_file():
        raise ConfigError(f"-o {output} is a folder or something special; name a file")
    if not overwrite:
        raise ConfigError(f"-o {output} exists; name another file, or replace it with --overwrite")


def _state_dict(path: Path, tree: Any) -> tuple[str, dict[str, Tensor]]:
    """Return the key of the names and tensors in `tree` ("": at the top), and these."""
    if not isinstance(tree, dict):
        raise ModelFileError(f"{path}: holds a {type(tree).__name__}, no weights by name")
    for key, value in [("", tree), *((key, tree.get(key)) for key in _USUAL_KEYS)]:
        if isinstance(value, dict) and value and all(_is_weight(name, weight) for name, weight in value.items()):
            return key, {name: tensor.detach() for name, tensor in value.items()}
    held = ", ".join(str(key)[:40] for key in list(tree)[:10]) or "nothing"
    raise ModelFileError(
        f"{path}: no weights by name, neither at the top, which holds {held}, nor under {', '.join(_USUAL_KEYS)}"
    )


def _is_weight(name: Any, weight: Any) -> bool:
    return isinstance(name, str) and isinstance(weight, Tensor)


def _prefix(found: dict[str, Tensor], expected: dict[str, Tensor]) -> str:
    """Return the common prefix of all names, such as "module.", if the names fit better without it."""
    first = next(iter(found))
    prefixes = ["", *(first[: dot.end()] for dot in re.finditer(r"\.", first))]
    shared = [prefix for prefix in prefixes if all(name.startswith(prefix) for name in found)]
    return max(shared, key=lambda prefix: sum(name.removeprefix(prefix) in expected for name in found))


def _fitted(
    path: Path, found: dict[str, Tensor], expected: dict[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the weights in the dtypes of the network, none sharing memory with another, and notes on conversions."""
    converted = [name for name, tensor in found.items() if name in expected and _convertible(tensor, expected[name])]
    outline = {name: tensor.to("meta") for name, tensor in found.items()}
    outline |= {name: outline[name].to(torch.float32) for name in converted}
    model_file.check_weights(path, expected, outline)
    kinds = [str(found[name].dtype).removeprefix("torch.") for name in converted]
    notes = tuple(f"Converted {kinds.count(kind)} tensors from {kind} to float32" for kind in sorted(set(kinds)))
    return {name: found[name].to(tensor.dtype, copy=True).contiguous() for name, tensor in expected.items()}, notes


def _convertible(tensor: Tensor, expected: Tensor) -> bool:
    return expected.dtype == torch.float32 != tensor.dtype and tensor.is_floating_point()


def _check_finite(path: Path, weights: dict[str, Tensor]) -> None:
    bad = [name for name, t in weights.items() if t.is_floating_point() and not torch.isfinite(t).all()]
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise ModelFileError(f"{path}: weights that are not finite ({', '.join(bad[:5])}{more}); use an earlier file")


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
