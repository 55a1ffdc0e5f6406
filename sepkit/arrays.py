"""Names for the types of arrays. They are strings, so that they cost no import of NumPy."""

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Samples: TypeAlias = "NDArray[np.float32]"
Doubles: TypeAlias = "NDArray[np.float64]"
Scores: TypeAlias = Doubles
Flags: TypeAlias = "NDArray[np.bool_]"
DoubleSpectra: TypeAlias = "NDArray[np.complex128]"
