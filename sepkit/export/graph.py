"""The mask network of a model as an ONNX graph, which gives the same masks as PyTorch or is refused."""

import inspect
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from importlib.metadata import version
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn

from sepkit.checkpoints.model_file import ModelFile
from sepkit.component import AudioSpec
from sepkit.errors import ModelFileError, reason
from sepkit.export.phases import in_phases
from sepkit.precision import threads
from sepkit.separation.engine.folding import fold
from sepkit.separation.engine.onnx_engine import MaskNetwork, require
from sepkit.terminal import command

PACKAGES = ("onnx", "onnxruntime")
"""The packages that an export needs"""
MANIFEST = "sepkit"
"""The key of the manifest among the properties of the graph"""

# Of PyTorch's older exporter; the newer one fails on recurrent layers (torch 2.14).
_OPSET = 17
# Largest difference between the masks of both, relative to the largest mask above 1.
TOLERANCE = 1e-4


def export(model: ModelFile, network: nn.Module) -> bytes:
    """Return the graph of `network.mask_network`, with a manifest that says how to use it.

    Args:
        model: The model file of the network.
        network: In evaluation mode, on the CPU. It stays as it is.

    Raises:
        ConfigError: a package is missing or broken.
        ModelFileError: the network has no mask network, or ONNX cannot express it.
    """
    require(*PACKAGES)
    mask_network = _mask_network(model, network)
    try:
        with torch.no_grad(), threads(1):  # for a second of sound, more would wait for each other
            spectrum = _example(network, mask_network, model.manifest.audio)
            mask = _whole(mask_network(spectrum), spectrum)
            folded = deepcopy(mask_network)
            fold(folded)
            in_phases(folded)
            graph = _described(_traced(folded, spectrum, mask), model, network, _shape(spectrum), _shape(mask))
            _compare(graph, mask_network, spectrum)
    except Exception as error:  # networks and exporters may raise anything
        raise ModelFileError(
            f"{model.path}: its mask network cannot be exported to ONNX ({reason(error)[:300]}); "
            "it runs in PyTorch only"
        ) from error
    return graph


def _mask_network(model: ModelFile, network: nn.Module) -> nn.Module:
    found = getattr(network, "mask_network", None)
    if isinstance(found, nn.Module):
        return found
    name, provider = model.manifest.model.name, model.manifest.provider.distribution
    raise ModelFileError(
        f'{model.path}: the model "{name}" of {provider} has no mask network (a submodule mask_network), '
        f"so it runs in PyTorch only: {command('separate', 'SONG', '-m', model.path)}"
    )


def _example(network: nn.Module, mask_network: nn.Module, audio: AudioSpec) -> Tensor:
    """Return the input of the mask network for a second of noise."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    hook = mask_network.register_forward_pre_hook(lambda _, *call: calls.append(call), with_kwargs=True)
    try:
        network(torch.rand(1, audio.channels, audio.sample_rate, generator=torch.Generator().manual_seed(0)) - 0.5)
    finally:
        hook.remove()
    match calls[:1]:
        case [((Tensor() as spectrum,), {})] if spectrum.dim() > 1 and not calls[0][1]:
            return spectrum
    raise ValueError("the network does not call it with one tensor [batch, ..., frames]")


def _whole(mask: Any, spectrum: Tensor) -> Tensor:
    if isinstance(mask, Tensor) and (len(mask), mask.shape[-1]) == (len(spectrum), spectrum.shape[-1]):
        return mask
    raise ValueError("it does not return one tensor [batch, ..., frames] of as many frames as it gets")


def _traced(module: nn.Module, spectrum: Tensor, mask: Tensor) -> bytes:
    content = BytesIO()
    axes = {name: {0: "batch", t.dim() - 1: "frames"} for name, t in (("spectrum", spectrum), ("mask", mask))}
    with _without_warnings():
        torch.onnx.export(
            module, (spectrum,), content,  # type: ignore[arg-type]  # this exporter takes open files
            input_names=["spectrum"], output_names=["mask"], dynamic_axes=axes,
            opset_version=_OPSET, dynamo=False,
        )  # fmt: skip
    return content.getvalue()


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence the exporter's warnings of its age, and of constants and batch sizes, which `_compare` checks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based ONNX export", DeprecationWarning)
        warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
        warnings.filterwarnings("ignore", "Exporting a model to ONNX with a batch_size other than 1", UserWarning)
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1 can be constant folded", UserWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        yield


def _shape(tensor: Tensor) -> list[int | str]:
    return ["batch", *tensor.shape[1:-1], "frames"]


def _described(
    graph: bytes, model: ModelFile, network: nn.Module, spectrum: list[int | str], mask: list[int | str]
) -> bytes:
    """Return the graph with its manifest, and with the shape of its output, which the exporter only guesses."""
    import onnx

    proto = onnx.load_from_string(graph)
    output = proto.graph.output[0]
    output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, onnx.TensorProto.FLOAT, mask))
    origin = model.manifest.model_dump(mode="json", include={"provider", "audio", "model", "separate", "licence"})
    manifest = {
        "sepkit": version("sepkit"),
        "sha256": model.checksum,
        **origin,
        "input": {"name": "spectrum", "shape": spectrum},
        "output": {"name": "mask", "shape": mask},
        "about": _about(network),
    }
    onnx.helper.set_model_props(proto, {MANIFEST: json.dumps(manifest, allow_nan=False)})
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString()
    return content


def _about(network: nn.Module) -> str:
    """Return the docstrings of the network: they describe the spectra and their scale."""
    own = [kind for kind in (type(network), type(network.mask_network)) if not kind.__module__.startswith("torch.")]
    texts = [text.__doc__ for text in (inspect.getmodule(type(network)), *own) if text is not None]
    return "\n\n".join(inspect.cleandoc(text) for text in texts if text)


def _compare(graph: bytes, mask_network: nn.Module, example: Tensor) -> None:
    """Raise ValueError unless both networks give the same masks for another batch size and an odd number of frames."""
    batch, frames = len(example) + 1, example.shape[-1] // 2 | 1
    generator = torch.Generator().manual_seed(1)
    frame = torch.randint(example.shape[-1], (batch, frames), generator=generator)
    spectrum = torch.stack([example[i % len(example)][..., frame[i]] for i in range(batch)])
    expected, found = mask_network(spectrum), torch.from_numpy(MaskNetwork(graph)(spectrum.numpy()))
    if found.shape != expected.shape:
        raise ValueError(f"masks of shape {tuple(found.shape)} instead of {tuple(expected.shape)}")
    difference, allowed = (found - expected).abs().max(), TOLERANCE * expected.abs().max().clamp(min=1)
    if not difference <= allowed:
        raise ValueError(f"its masks differ by {difference:.2g} from those of PyTorch")
