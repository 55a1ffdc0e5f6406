"""The plugin that sepkit itself ships, registered like any other. Imports config classes only.

Each hook imports its own, as separation needs nothing but models.
"""

from sepkit.component import AugmentationConfig, DatasetConfig, LossConfig, MetricConfig, ModelConfig
from sepkit.hookspecs import hookimpl


@hookimpl
def sepkit_datasets() -> list[type[DatasetConfig]]:
    """Corpora on disk."""
    from sepkit.datasets.folder import Folder
    from sepkit.datasets.moisesdb import MoisesDB
    from sepkit.datasets.musdb import MUSDB18, MUSDB18HQ
    from sepkit.datasets.slakh2100 import Slakh2100
    from sepkit.datasets.synthetic import Synthetic

    return [Folder, MUSDB18HQ, MUSDB18, MoisesDB, Slakh2100, Synthetic]


@hookimpl
def sepkit_models() -> list[type[ModelConfig]]:
    """The light CRNN."""
    from sepkit.models.crnn import CRNN

    return [CRNN]


@hookimpl
def sepkit_losses() -> list[type[LossConfig]]:
    """Losses on waveforms, on magnitudes and on ratios."""
    from sepkit.losses.l1 import L1
    from sepkit.losses.l1_magnitude import L1Magnitude
    from sepkit.losses.l1_snr import L1SNR
    from sepkit.losses.mse import MSE
    from sepkit.losses.multi_resolution_stft import MultiResolutionSTFT
    from sepkit.losses.si_sdr import SISDRLoss

    return [L1, L1Magnitude, L1SNR, MSE, MultiResolutionSTFT, SISDRLoss]


@hookimpl
def sepkit_metrics() -> list[type[MetricConfig]]:
    """Scores of separated tracks."""
    from sepkit.metrics.bleed import Bleed
    from sepkit.metrics.bsseval import BSSEval
    from sepkit.metrics.museval import MusEval
    from sepkit.metrics.sdr import SDR
    from sepkit.metrics.si_sdr import SISDR
    from sepkit.metrics.silence_audible import SilenceAudible
    from sepkit.metrics.silence_level import SilenceLevel
    from sepkit.metrics.usdr import USDR

    return [SDR, USDR, SISDR, BSSEval, MusEval, SilenceLevel, SilenceAudible, Bleed]


@hookimpl
def sepkit_augmentations() -> list[type[AugmentationConfig]]:
    """Random changes of training chunks."""
    from sepkit.augmentations.channel_swap import ChannelSwap
    from sepkit.augmentations.doubling import Doubling
    from sepkit.augmentations.equaliser import Equaliser
    from sepkit.augmentations.formants import Formants
    from sepkit.augmentations.gain import Gain
    from sepkit.augmentations.low_pass import LowPass
    from sepkit.augmentations.mp3 import MP3
    from sepkit.augmentations.pitch import Pitch
    from sepkit.augmentations.polarity import Polarity
    from sepkit.augmentations.reverb import Reverb
    from sepkit.augmentations.soft_clip import SoftClip
    from sepkit.augmentations.speed import Speed
    from sepkit.augmentations.tempo import Tempo

    return [
        Gain,
        Polarity,
        ChannelSwap,
        Pitch,
        Tempo,
        Speed,
        Formants,
        Doubling,
        Reverb,
        Equaliser,
        SoftClip,
        LowPass,
        MP3,
    ]
