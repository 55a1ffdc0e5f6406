"""The networks of the broken models."""

import torch
from torch import nn
from torch.nn import functional


class Good(nn.Module):
    """A gain for each source."""

    def __init__(self, audio):
        super().__init__()
        self.gain = nn.Parameter(torch.full((len(audio.sources), 1, 1), 0.5))

    def forward(self, mixture):
        return mixture[:, None] * self.gain


class NoChannel(Good):
    def forward(self, mixture):
        return super().forward(mixture)[:, :, 0]


class Incomplete(Good):
    """Half of the mixture."""


class Squeezed(Good):
    def forward(self, mixture):
        return super().forward(mixture).squeeze(0)


class WholeHops(Good):
    def forward(self, mixture):
        frames = mixture.shape[-1]
        return super().forward(mixture)[..., : frames // 16 * 16 if frames > 1000 else frames]


class Reflecting(Good):
    def forward(self, mixture):
        return super().forward(functional.pad(mixture, (100, 100), "reflect"))[..., 100:-100]


class OneSource(Good):
    def forward(self, mixture):
        return super().forward(mixture)[:, :1]


class OneChannel(Good):
    def forward(self, mixture):
        return super().forward(mixture[:, :1])


class TwoChannels(Good):
    def forward(self, mixture):
        return super().forward(torch.stack([mixture[:, 0], mixture[:, 1]], 1))


class Unused(Good):
    def __init__(self, audio):
        super().__init__(audio)
        self.left_over = nn.Linear(2, 2)


class Weightless(nn.Module):
    def __init__(self, audio):
        super().__init__()
        self.sources = len(audio.sources)

    def forward(self, mixture):
        return mixture[:, None].repeat(1, self.sources, 1, 1)


class Root(Good):
    def forward(self, mixture):
        return super().forward(mixture).square().sqrt()


class Normalised(Good):
    def forward(self, mixture):
        return super().forward(mixture / mixture.square().mean((1, 2), keepdim=True).sqrt())


class Overflowing(Good):
    def forward(self, mixture):
        return super().forward(mixture + 0 * (60 * mixture).exp())


class Dropping(Good):
    def forward(self, mixture):
        return functional.dropout(super().forward(mixture), 0.5, training=True)


class Mixing(Good):
    def forward(self, mixture):
        return super().forward(mixture - mixture.mean(0, keepdim=True))


class Writer(Good):
    def forward(self, mixture):
        mixture[..., 0] = 0
        return super().forward(mixture)


class Forgetful(Good):
    """Depends on a number that is in no file."""

    def __init__(self, audio):
        super().__init__(audio)
        self.hidden = torch.rand(1)

    def forward(self, mixture):
        return super().forward(mixture) * self.hidden


class ExtraState(Good):
    def get_extra_state(self):
        return {"steps": 1}

    def set_extra_state(self, state):
        pass


class Peeking(Good):
    """Needs real numbers to be built."""

    def __init__(self, audio):
        super().__init__(audio)
        if self.gain.max().item() > 1:
            raise ValueError


class Differentiating(Good):
    """Needs a gradient to run, as networks that follow a score do."""

    def forward(self, mixture):
        with torch.enable_grad():
            guess = (mixture.detach() * 1).requires_grad_()
            (slope,) = torch.autograd.grad(guess.square().sum(), guess)
        return super().forward(mixture) + 0 * slope[:, None]


class Masked(nn.Module):
    """A mask on blocks of 16 samples, as rows of a spectrum."""

    def __init__(self, audio, masks):
        super().__init__()
        self.sources = len(audio.sources)
        self.mask_network = masks

    def forward(self, mixture):
        padded = functional.pad(mixture, (0, -mixture.shape[-1] % 16))
        rows = padded.unflatten(-1, (-1, 16)).transpose(-1, -2)
        masked = (rows * self.masks(rows)).transpose(-1, -2).flatten(-2)
        return masked[:, None, :, : mixture.shape[-1]].repeat(1, self.sources, 1, 1)

    def masks(self, rows):
        return self.mask_network(rows)


class GoodMasks(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.full((16, 1), 0.5))

    def forward(self, rows):
        return torch.sigmoid(rows * self.gain)


class OneMask(GoodMasks):
    def forward(self, rows):
        return super().forward(rows).mean(-1, keepdim=True)


class Transformed(GoodMasks):
    def forward(self, rows):
        return super().forward(torch.fft.irfft(torch.fft.rfft(rows, dim=-2), rows.shape[-2], dim=-2))


class TwoInputs(Masked):
    def masks(self, rows):
        return self.mask_network(rows, rows)


class TwoInputMasks(GoodMasks):
    def forward(self, rows, again):
        return super().forward(again)


class ByRate(Good):
    """As many weights as the rate asks for."""

    def __init__(self, audio):
        super().__init__(audio)
        self.window = nn.Parameter(torch.ones(audio.sample_rate // 1000))

    def forward(self, mixture):
        return super().forward(mixture) * self.window.mean()
