"""`kasparro doctor`."""

from __future__ import annotations

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.exits import FAILED, leave, run_async
from kasparro_app.cli.output import print_views

COLUMNS = ("check", "ok", "found")


def doctor(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Look at the installation, the configuration and the database, and say what is wrong.

    Exit code 1: something is.
    """
    from kasparro_app.diagnosis import diagnose

    findings = run_async(diagnose(invocation(context).config))
    views = [{"check": finding.check, "ok": finding.ok, "found": finding.found} for finding in findings]
    print_views(views, COLUMNS, as_json=as_json, nothing="Nothing was checked.")
    leave(0 if all(finding.ok for finding in findings) else FAILED)
