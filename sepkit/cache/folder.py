"""The folder of data that sepkit can make again."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from sepkit.errors import CacheError


def cache_folder() -> Path:
    """Return `$SEPKIT_CACHE`, else the platform's cache folder for sepkit. It need not exist.

    Raises:
        CacheError: the user has no home folder, as in containers that run under a bare user id.
    """
    chosen = os.environ.get("SEPKIT_CACHE")
    if chosen:
        return Path(chosen)
    try:
        return user_cache_path("sepkit", appauthor=False)
    except RuntimeError:
        raise CacheError("no cache folder: HOME is not set; set SEPKIT_CACHE to a folder") from None
