"""The process that exports the mask network of a model file: `python -m sepkit.export.process MODEL`.

Its stdout is the exported file, or the reason of a failure with exit code 1.
"""

import logging
import os
import signal
import sys
from pathlib import Path


def main(model: Path) -> int:
    """Export, keep and print, and return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the process that has started this one reports it
    logging.basicConfig(format="Warning: %(message)s", level=logging.WARNING)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # C libraries print
    from sepkit.checkpoints import model_file
    from sepkit.errors import SepkitError, reason
    from sepkit.export.kept import make_export

    with out:
        try:
            out.write(make_export(model_file.load(model)))
        except Exception as error:  # noqa: BLE001  networks and exporters may raise anything
            why = str(error) if isinstance(error, SepkitError) else reason(error)
            out.write(why.encode("utf-8", "replace"))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
