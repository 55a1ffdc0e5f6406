"""A bidirectional GRU that trains on a CPU without many small kernels.

torch's own CPU kernels run each direction and each step apart, and in the backward pass multiply out the gradient of
the recurrent weights once a step. Here both directions advance together as one batched product, and the backward pass
keeps only the recurrent part in its loop: with A_t the derivatives of the gates with respect to the state,

    dg_t = dh_t * A_t,    dh_{t-1} = dh_t * z_t + dg_t W_hh,

while A_t for all t and the gradients of all weights are single operations outside of it. Same equations, parameters and
results as `torch.nn.GRU` (K. Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class BidirectionalGRU(nn.GRU):
    """`torch.nn.GRU` with batch_first and bidirectional set: [batch, time, input] -> [batch, time, 2 * hidden].

    On a GPU, and without gradients, torch's own kernels run.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__(
            inputs, hidden, layers, batch_first=True, bidirectional=True, dropout=dropout if layers > 1 else 0.0
        )

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Return the states of the last layer, forward and backward side by side."""
        if x.device.type != "cpu" or not torch.is_grad_enabled():
            states: Tensor = super().forward(x)[0]
            return states
        with torch.autocast("cpu", enabled=False):
            x = x.float()
            for layer in range(self.num_layers):
                x = self._layer(x, layer)
                if layer < self.num_layers - 1:
                    x = functional.dropout(x, self.dropout, self.training)
        return x

    def _layer(self, x: Tensor, layer: int) -> Tensor:
        w_ih, w_hh, b_ih, b_hh = (
            torch.stack([getattr(self, f"{kind}_l{layer}{side}") for side in ("", "_reverse")])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        time = x.transpose(0, 1)
        both = torch.stack([time, time.flip(0)], 1)  # the second direction runs backwards
        gates = torch.einsum("tdbi,dgi->tdbg", both, w_ih) + b_ih[:, None]
        states: Tensor = _Recurrence.apply(gates, w_hh, b_hh)
        return torch.cat([states[:, 0], states[:, 1].flip(0)], -1).transpose(0, 1)


class _Recurrence(torch.autograd.Function):
    """The recurrent part for D directions: gates [T, D, B, 3H], W_hh [D, 3H, H], b_hh [D, 3H] -> states [T, D, B, H]"""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, w_hh: Tensor, b_hh: Tensor) -> Tensor:
        time, directions, batch, width = gates.shape
        size = width // 3
        states = gates.new_zeros(time + 1, directions, batch, size)  # states[t] is the state before step t
        reset_update = gates[..., : 2 * size].clone()
        candidates = gates[..., 2 * size :].clone()
        hidden = gates.new_empty(time, directions, batch, width)
        weights, bias = w_hh.transpose(1, 2).contiguous(), b_hh[:, None]
        for t in range(time):
            torch.baddbmm(bias, states[t], weights, out=hidden[t])
            rz = reset_update[t].add_(hidden[t, ..., : 2 * size]).sigmoid_()
            n = candidates[t].addcmul_(rz[..., :size], hidden[t, ..., 2 * size :]).tanh_()
            torch.lerp(n, states[t], rz[..., size:], out=states[t + 1])
        ctx.save_for_backward(states, reset_update, candidates, hidden[..., 2 * size :], w_hh)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states, reset_update, n, hidden_n, w_hh = ctx.saved_tensors
        r, z = reset_update.chunk(2, -1)
        d_n = (1 - z) * (1 - n * n)
        slopes = torch.cat([d_n * hidden_n * r * (1 - r), (states[:-1] - n) * z * (1 - z), d_n * r], -1)
        time, directions, batch, size = grad.shape
        d_states = grad.clone()
        d_hidden = torch.empty_like(slopes)
        for t in reversed(range(time)):
            torch.mul(
                slopes[t].view(directions, batch, 3, size),
                d_states[t, :, :, None],
                out=d_hidden[t].view(directions, batch, 3, size),
            )
            if t:
                d_states[t - 1].addcmul_(d_states[t], z[t]).baddbmm_(d_hidden[t], w_hh)
        d_gates = torch.cat([d_hidden[..., : 2 * size], d_states * d_n], -1)
        d_weights = torch.einsum("tdbg,tdbh->dgh", d_hidden, states[:-1])
        return d_gates, d_weights, d_hidden.sum((0, 2))
