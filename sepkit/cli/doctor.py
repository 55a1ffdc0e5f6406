"""`sepkit doctor`"""

import click

from sepkit.cli.verb import Report, Verb


@click.command(cls=Verb)
def doctor() -> Report:
    """Say what works here, what is missing, and how to get it."""
    from rich.table import Table

    from sepkit.diagnosis import diagnose

    checks = diagnose()
    table = Table("check", "state", "detail")
    for check in checks:
        table.add_row(check.name, check.state, check.detail, style="" if check.state == "ok" else "yellow")
    failed = any(check.state == "broken" for check in checks)
    data = {"checks": [{"name": c.name, "state": c.state, "detail": c.detail} for c in checks], "ok": not failed}
    return Report(data, [table], exit_code=int(failed))
