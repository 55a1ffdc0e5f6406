"""Facts that come with a corpus: its official splits, and what is publicly known to be wrong with it."""

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def facts_of(corpus: str) -> dict[str, Any]:
    """Return the facts of `corpus`, of which a JSON file lies beside this one."""
    facts: dict[str, Any] = json.loads(Path(__file__).with_name(f"{corpus}.json").read_text(encoding="utf-8"))
    return facts
