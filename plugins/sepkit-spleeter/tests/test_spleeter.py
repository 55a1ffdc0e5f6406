"""The model, as every model is tested."""

from sepkit_spleeter.spleeter_unet import SpleeterUNet

from sepkit import AudioSpec
from sepkit.testing import conformance

SMALL = {"n_fft": 256, "hop_length": 64, "bins": 64, "filters": (4, 6, 8)}
TWO = AudioSpec(8000, 2, ("vocals", "accompaniment"))

TestSpleeter = conformance(SpleeterUNet(**SMALL), audio=TWO)
TestOneSource = conformance(SpleeterUNet(**SMALL))
TestSoftmax = conformance(SpleeterUNet(**SMALL, activation="elu", output="softmax", above="zero"), audio=TWO)
