"""The one place that prints: stdout, stderr, and the tables that they show. Imports rich only where it is needed."""

from sepkit.terminal.program import command, program
from sepkit.terminal.streams import Output, console, open_streams, print_json, print_report, say
from sepkit.terminal.table import Column, Table
from sepkit.terminal.text import Prose, one_line

__all__ = [
    "Column",
    "Output",
    "Prose",
    "Table",
    "command",
    "console",
    "one_line",
    "open_streams",
    "print_json",
    "print_report",
    "program",
    "say",
]
