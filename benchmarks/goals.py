"""A goal, whether it is reached, and tables in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """A number and its limit: at least, or at most."""

    text: str
    reached: float
    limit: float
    least: bool = False

    @property
    def ok(self) -> bool:
        """True if it is reached."""
        return self.reached >= self.limit if self.least else self.reached <= self.limit

    @property
    def row(self) -> tuple[str, ...]:
        """Its line of the table."""
        limit = f"{'at least' if self.least else 'at most'} {self.limit:.3g}"
        return self.text, f"{self.reached:.3g}", limit, "ok" if self.ok else "missed"


def judged(goals: Sequence[Goal]) -> int:
    """Print what was reached, and return the exit code: 1 if a goal is missed."""
    print_table(("", "reached", "goal", ""), [goal.row for goal in goals])
    return int(not all(goal.ok for goal in goals))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table and an empty line."""
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |", flush=True)
    print()
