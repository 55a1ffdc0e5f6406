"""Where sepkit keeps what it can make again."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return `$SEPKIT_CACHE`, else the platform's cache folder for sepkit. It need not exist."""
    chosen = os.environ.get("SEPKIT_CACHE")
    return Path(chosen) if chosen else user_cache_path("sepkit", appauthor=False)
