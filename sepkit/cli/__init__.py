"""The command line: one file per verb. At the top of these files only click and errors are imported, so that
`sepkit --help` costs nothing; a verb imports what it calls when it is called.
"""

from sepkit.cli.app import main

__all__ = ["main"]
