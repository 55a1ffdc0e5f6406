"""Stems that are no partition of their mixture, by construction."""

import numpy as np
import pytest

from sepkit.data.partition import faults, inner_products

V, D, B, O = (  # noqa: E741
    gain * np.random.default_rng(n).standard_normal((2, 20000), dtype=np.float32)
    for n, gain in enumerate((1, 0.7, 0.5, 0.9))
)
FOREIGN = np.random.default_rng(9).standard_normal((2, 20000), dtype=np.float32)
MIX = V + D + B + O
FOUR = {"vocals": V, "drums": D, "bass": B, "other": O}
WHOLE = {"mixture": MIX, **FOUR}


def found(signals, overlapping=()):
    products = inner_products(list(signals.values()))
    return [(fault.name, fault.text) for fault in faults(list(signals), products, overlapping)]


@pytest.mark.parametrize(
    "signals",
    [
        WHOLE,
        FOUR,
        {"mixture": MIX, "vocals": V},
        {"mixture": MIX, "vocals": V, "instrumental": MIX - V},
        {"mixture": V, "vocals": V},
        {"mixture": V + 0.01 * D, "vocals": V, "drums": 0.01 * D},  # a quiet stem is no second mixture
        {"mixture": D, "vocals": 0 * V, "drums": D},
        {"mixture": 0 * D, "vocals": 0 * V},
        {"mixture": MIX + 0.02 * FOREIGN, **FOUR},  # encoded by itself
        {"mixture": 0.98 * MIX, **FOUR},
        {"vocals": V},
    ],
)
def test_stems_that_are_all_right(signals):
    assert found(signals) == []


@pytest.mark.parametrize(
    ("signals", "name", "text"),
    [
        (WHOLE | {"original": MIX}, "original", "the mixture under another name"),
        (WHOLE | {"original": 0.5 * MIX}, "original", "the mixture under another name"),
        (WHOLE | {"vocals": MIX}, "vocals", "the mixture under another name"),
        (FOUR | {"original": MIX}, "original", "the sum of all other stems; rename it to mixture"),
        (WHOLE | {"band": MIX - V}, "band", "the sum of drums, bass, other, so they count twice"),
        (FOUR | {"band": MIX - V}, "band", "the sum of drums, bass, other, so they count twice"),
        (WHOLE | {"rhythm": D + B}, "rhythm", "the sum of drums, bass"),
        (WHOLE | {"lead": V}, "vocals", "the same as lead; keep one"),
        (WHOLE | {"vocals": 0.5 * V}, "vocals", "the mixture holds it at +6.0 dB"),
        ({"mixture": MIX, "drums": 2 * D}, "drums", "the mixture holds it at -6."),
        (WHOLE | {"vocals": -V}, "vocals", "upside down"),
        (WHOLE | {"vocals": FOREIGN}, "vocals", "the mixture does not hold it"),
        (WHOLE | {"vocals": np.roll(V, 50, 1)}, "vocals", "shifted in time?"),
        (WHOLE | {"mixture": 0.6 * MIX}, "mixture", "it holds all stems at -4.4 dB"),
    ],
)
def test_one_fault_is_found_and_named(signals, name, text):
    ((stem, words),) = found(signals)
    assert stem == name
    assert text in words


@pytest.mark.parametrize(
    ("signals", "name", "text"),
    [
        (WHOLE | {"instrumental": MIX - V}, "instrumental", ""),
        (WHOLE | {"no_drums": MIX - D}, "no_drums", ""),
        (FOUR | {"instrumental": MIX - V}, "instrumental", ""),
        (WHOLE | {"mix": MIX}, "mix", ""),
        (WHOLE | {"instrumental": 0 * V}, "instrumental", ""),
        ({"vocals": V, "drums": D, "instrumental": MIX - V}, "instrumental", "not the song without vocals"),
        (WHOLE | {"instrumental": FOREIGN}, "instrumental", "not the song without vocals"),
        (WHOLE | {"master": np.tanh(MIX)}, "master", "not the mixture"),
    ],
)
def test_what_overlaps_stems_is_what_its_name_says(signals, name, text):
    words = [words for stem, words in found(signals, [name]) if stem == name]
    assert len(found(signals, [name])) == len(words) == bool(text)
    assert all(text in some for some in words)
