"""`sepkit doctor`"""

import click

from sepkit.cli.verb import Report, Verb
from sepkit.terminal import Column, Table


@click.command(cls=Verb)
def doctor() -> Report:
    """Check packages, devices, formats and plugins, and print how to get what is missing."""
    from sepkit.diagnosis import diagnose

    checks = diagnose()
    table = Table([Column("check"), Column("state"), Column("detail", "text")])
    for check in checks:
        table.add(check.name, check.state, check.detail, marked=check.state != "ok")
    failed = any(check.state == "broken" for check in checks)
    data = {"checks": [{"name": c.name, "state": c.state, "detail": c.detail} for c in checks], "ok": not failed}
    return Report(data, [table], exit_code=int(failed))
