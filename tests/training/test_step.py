"""One optimiser step: parts of a batch, averages, the guard; what a network learns is set by hand."""

import math

import pytest
import torch
from torch import nn

from sepkit import config as configs
from sepkit.atomic import Commit
from sepkit.checkpoints import model_file
from sepkit.precision import Precision
from sepkit.training import state as states
from sepkit.training.freezing import freeze, train_mode
from sepkit.training.learner import Learner
from sepkit.training.ranks import Ranks
from sepkit.training.state import restore, state_of

CPU = torch.device("cpu")


class Net(nn.Module):
    """A filter and a norm with batch statistics: [batch, channel, time] -> [batch, source, channel, time]."""

    def __init__(self, sources, norm):
        super().__init__()
        self.conv = nn.Conv1d(1, sources, 5, padding=2)
        self.norm = nn.BatchNorm1d(sources) if norm else nn.Identity()

    def forward(self, x):
        return self.norm(self.conv(x))[:, :, None]


def learner_of(*overrides, norm=False):
    config = configs.load(None, ["train.precision=fp32", *overrides])
    torch.manual_seed(0)
    return Learner(config, Net(len(config.audio.sources), norm).double(), 10, Ranks(CPU))


def batch_of(size=4, sources=1, present=None, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    present = torch.ones(size, sources, dtype=torch.bool) if present is None else present
    return {
        "mixture": torch.randn(size, 1, 50, generator=generator, dtype=dtype),
        "targets": torch.randn(size, sources, 1, 50, generator=generator, dtype=dtype),
        "present": present,
        "present_everywhere": present,
        "tracks": [(f"song {n}", f"voice {n}") for n in range(size)],
    }


def take(learner, batch):
    learner.network.train()
    return learner.take_step(batch)


def weights(learner):
    return {name: value.clone() for name, value in learner.network.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("weighting", ["{}", "{vocals=3, drums=0.5}"])
def test_a_batch_in_parts_is_the_same_step(weighting):
    """Absent sources, so that the parts count differently."""
    present = torch.tensor([[1, 1], [0, 1], [0, 0], [1, 0]], dtype=torch.bool)
    results = []
    for parts in (1, 2, 4):
        learner = learner_of(
            'audio.sources=["vocals", "drums"]', f"train.accumulate={parts}", "train.optimizer.name=sgd",
            f"train.source_weights={weighting}", 'losses=[{name="l1"}, {name="mse", weight=0.5}]',
        )  # fmt: skip
        losses = [take(learner, batch_of(4, 2, present, seed)).loss for seed in range(5)]
        results.append((losses, weights(learner)))
    for losses, found in results[1:]:
        assert losses == pytest.approx(results[0][0], rel=1e-12)
        for name, value in found.items():
            torch.testing.assert_close(value, results[0][1][name], rtol=1e-11, atol=1e-14)


def test_source_weights_weigh_sources():
    objective = learner_of('audio.sources=["vocals", "drums"]', "train.source_weights.vocals=3").objective
    estimate = torch.zeros(2, 2, 1, 4)
    target = torch.tensor([1.0, 5.0])[None, :, None, None].expand(2, 2, 1, 4)
    everything = torch.ones(2, 2, dtype=torch.bool)
    assert objective(estimate, target, everything).item() == pytest.approx((3 * 1 + 5) / 4)
    partly = torch.tensor([[True, True], [False, True]])
    assert objective(estimate, target, partly).item() == pytest.approx((3 * 1 + 2 * 5) / 5)
    assert objective.weight(partly) == 5
    assert objective(estimate, target, torch.zeros(2, 2, dtype=torch.bool)).item() == 0


@pytest.mark.parametrize("part", ["mixture", "targets"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_step_that_is_not_finite_changes_nothing_and_names_its_tracks(part, value):
    learner = learner_of("train.ema=0.5", norm=True)
    take(learner, batch_of())
    before, average = weights(learner), {k: v.clone() for k, v in learner.averaged.state_dict().items()}
    rate = learner.schedule.steps
    batch = batch_of(seed=1)
    batch[part].view(4, -1)[2, 7] = value
    assert not take(learner, batch).taken
    assert same(before, weights(learner))
    assert same(average, learner.averaged.state_dict())
    assert learner.schedule.steps == rate
    assert learner.broken_tracks(batch) == (["song 2", "voice 2"], True)
    assert take(learner, batch_of(seed=2)).taken
    assert learner.is_finite()


def test_where_all_samples_are_finite_all_tracks_are_named():
    learner = learner_of()
    with torch.no_grad():
        learner.network.conv.weight.fill_(1e300)
    batch = batch_of()
    batch["mixture"] *= 1e300
    assert not take(learner, batch).taken
    assert learner.broken_tracks(batch) == ([name for chunk in batch["tracks"] for name in chunk], False)


def test_a_finite_loss_with_a_gradient_that_is_not_is_skipped_as_well():
    """The gradient of a square root at zero is infinite."""
    learner = learner_of()
    learner.objective = lambda estimate, target, present: (0 * estimate).sum().abs().sqrt()
    learner.objective.weight = lambda present: 1.0
    before = weights(learner)
    step = take(learner, batch_of())
    assert (step.loss, step.taken) == (0.0, False)
    assert same(before, weights(learner))


def test_gradients_are_clipped():
    moved = []
    for limit in (0, 1e-3):
        learner = learner_of("train.optimizer.name=sgd", "train.optimizer.momentum=0", f"train.clip_norm={limit}",
                             "train.optimizer.lr=1", "train.optimizer.weight_decay=0")  # fmt: skip
        before = weights(learner)
        take(learner, batch_of())
        moved.append(math.sqrt(sum(float((v - before[k]).square().sum()) for k, v in weights(learner).items())))
    assert moved[0] > 0.1
    assert moved[1] == pytest.approx(1e-3, rel=1e-3)


def test_the_average_is_one():
    """Weights that jump from 0 to 1 are approached by the average with its decay, which grows to the limit."""
    learner = learner_of("train.ema=0.6")
    network, averaged = learner.network, learner.averaged
    expected = 0.0
    for count, value in enumerate([0.0, 1.0, 1.0, 0.5, 0.25, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(value)
        averaged.update_parameters(network)
        decay = min(0.6, (1 + count) / (10 + count)) if count else 0.0
        expected = decay * expected + (1 - decay) * value
        for parameter in averaged.module.parameters():
            torch.testing.assert_close(parameter, torch.full_like(parameter, expected))
    assert learner.evaluated_network is averaged.module


def test_every_step_that_is_taken_moves_the_average():
    learner = learner_of("train.ema=0.5", norm=True)
    expected = {}
    for count in range(6):
        batch = batch_of(seed=count)
        if count == 3:
            batch["mixture"][0, 0, 0] = math.nan
            assert not take(learner, batch).taken
            continue
        assert take(learner, batch).taken
        seen = count - (count > 3)
        decay = min(0.5, (1 + seen) / (10 + seen)) if seen else 0.0
        for name, value in weights(learner).items():
            expected[name] = decay * expected.get(name, 0) + (1 - decay) * value.double()
    for name, value in learner.evaluated_network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("device", "dtype"),
    [
        pytest.param("cuda", torch.float16, marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")),
        ("cpu", torch.bfloat16),
    ],
)
def test_autocast_with_a_scaler_finds_its_scale_and_goes_on_after_a_resume(device, dtype, tmp_path):
    """A scale that is far too large: steps are skipped until it fits, and a state takes it along."""
    config = configs.load(None, ["train.optimizer.name=sgd", 'losses=[{name="l1", weight=1000}]'])

    def scaled():
        """A learner with a scaler whose first scale is the largest that float32 holds."""
        learner = Learner(config, Net(1, norm=True), 10, Ranks(torch.device(device)))
        learner.precision = Precision(device, dtype)
        learner.scaler = torch.amp.GradScaler(device, init_scale=2.0**127, growth_interval=1000)
        return learner

    learner = scaled()
    batch = batch_of(dtype=torch.float32)
    first = weights(learner)
    steps = [take(learner, batch) for _ in range(200)]
    taken = [step.taken for step in steps]
    assert not taken[0]
    assert taken[-1]
    assert all(math.isfinite(step.loss) for step in steps)
    assert learner.scaler.get_scale() < 2.0**127
    assert not same(first, weights(learner))
    assert learner.is_finite()
    other = scaled()
    with Commit() as commit:
        states.stage(commit, tmp_path / "state", state_of(learner, config), {"format": 1})
    restore(other, tmp_path, states.load(tmp_path / "state")[1], best_is_known=False)
    assert other.scaler.state_dict() == learner.scaler.state_dict()
    for one in (learner, other):
        take(one, batch_of(seed=5, dtype=torch.float32))
    assert same(weights(learner), weights(other))
    assert other.scaler.get_scale() == learner.scaler.get_scale()


def test_a_loss_that_is_not_finite_says_nothing_about_the_scale():
    config = configs.load(None, ["train.optimizer.name=sgd", "train.precision=bf16"])
    learner = Learner(config, Net(1, norm=True), 10, Ranks(CPU))
    learner.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    batch = batch_of(dtype=torch.float32)
    assert take(learner, batch).taken
    batch["mixture"][0, 0, 0] = math.nan
    for _ in range(5):
        assert not take(learner, batch).taken
    assert learner.scaler.get_scale() == 2.0**10
    assert take(learner, batch_of(dtype=torch.float32)).taken


class Odd(Net):
    """A mask of -inf, a table of indices, a weight under two names, and a window that the first call makes."""

    def __init__(self):
        super().__init__(1, norm=True)
        self.tied = self.conv
        self.register_buffer("mask", torch.triu(torch.full((3, 3), -math.inf), 1), persistent=False)
        self.register_buffer("table", torch.arange(1000))
        self.window = None

    def forward(self, x):
        if self.window is None:
            self.window = torch.hann_window(x.shape[-1])
        return super().forward(x * self.window) + self.tied(x)[:, :, None] + self.mask.softmax(-1)[0, 0]


def test_networks_with_odd_buffers_and_tied_weights_are_averaged_saved_and_resumed(tmp_path):
    config = configs.load(None, ["train.ema=0.9", "train.precision=fp32"])
    learner = Learner(config, Odd(), 10, Ranks(CPU))
    batch = batch_of(dtype=torch.float32)
    for _ in range(30):
        assert take(learner, batch).taken
    assert torch.equal(learner.evaluated_network.table, torch.arange(1000))
    assert torch.equal(learner.evaluated_network.mask, learner.network.mask)
    assert learner.is_finite()
    with Commit() as commit:
        states.stage(commit, tmp_path / "state", state_of(learner, config), {"format": 1})
        model_file.stage(commit, tmp_path / "model", learner.evaluated_network, model_file.manifest_of(config))
    other = Learner(config, Odd(), 10, Ranks(CPU))
    restore(other, tmp_path, states.load(tmp_path / "state")[1], best_is_known=False)
    for one in (learner, other):
        take(one, batch)
    assert same(weights(learner), weights(other))
    assert same(learner.evaluated_network.state_dict(), other.evaluated_network.state_dict())


def test_a_single_frozen_weight_freezes_no_layer_and_a_frozen_part_all_of_its_layers():
    network = nn.Sequential()
    network.scale = nn.Parameter(torch.ones(1))
    network.encoder = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2, affine=False), nn.Dropout(0.5))
    network.decoder = nn.Sequential(nn.Conv1d(2, 1, 3), nn.BatchNorm1d(1))
    freeze(network, ["scale", "encoder.*"])
    train_mode(network)
    assert not any(module.training for module in network.encoder.modules())
    assert all(module.training for module in (network, *network.decoder.modules()))
