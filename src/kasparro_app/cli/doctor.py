"""`kasparro doctor`."""

from __future__ import annotations

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.exits import FAILED, leave, run_async


def doctor(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Look at the installation, the configuration and the database, and say what is wrong.

    Exit code 1: something is.
    """
    from kasparro_app.diagnosis import diagnose
    from kasparro_app.views import json_array

    findings = run_async(diagnose(invocation(context).config))
    views = [{"check": finding.check, "ok": finding.ok, "found": finding.found} for finding in findings]
    if as_json:
        print(json_array(views))
    else:
        for finding in findings:
            print(f"{'ok' if finding.ok else 'FAULT':5}  {finding.check:14}  {finding.found}")
    leave(0 if all(finding.ok for finding in findings) else FAILED)
