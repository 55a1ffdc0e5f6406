"""A plugin for tests: a network that kills its process, once or each time, as what it hears says."""

import os
import signal
from pathlib import Path
from typing import Literal

from sepkit import AudioSpec, ModelConfig, hookimpl

ONCE, ALWAYS = 0.75, 0.95
"""Peaks of songs that kill the first worker that hears them, and every one."""


class Deadly(ModelConfig):
    """Half of the mixture; death is noted in `log`, one letter each."""

    name: Literal["deadly"] = "deadly"
    log: str = "deaths"

    def build(self, audio: AudioSpec):
        import torch
        from torch import nn

        log = Path(self.log)

        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.factor = nn.Parameter(torch.tensor(0.5))

            def forward(self, mixture):
                peak = float(mixture.abs().max())
                deaths = log.read_text() if log.exists() else ""
                if peak > ALWAYS or (peak > ONCE and "o" not in deaths):
                    log.write_text(deaths + ("a" if peak > ALWAYS else "o"))
                    os.kill(os.getpid(), signal.SIGKILL)
                return self.factor * mixture[:, None]

        return Network()


@hookimpl
def sepkit_models():
    return [Deadly]
