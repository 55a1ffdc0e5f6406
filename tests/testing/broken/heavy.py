"""A loss whose settings cost the import of numpy."""

from typing import ClassVar

import numpy as np

from sepkit import hookimpl
from tests.testing.broken.losses import Good


class Heavy(Good):
    """Imports numpy at the top."""

    name: str = "heavy"
    share: float = float(np.float32(1))
    fails: ClassVar = {"test_settings_import_nothing_heavy": "imports numpy; import heavy packages in build"}


ALL = [Heavy]


@hookimpl
def sepkit_losses():
    return ALL
