"""`crossfade drill`: is the backup worth something? Restored, compared, served from."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from crossfade.backup.proof import RestoreProof, Verdict
from crossfade.cli.acting import progress
from crossfade.cli.site import open_site, open_spool, output_option, print_json
from crossfade.model.errors import Exit, fail
from crossfade.walk.addresses import admin_url
from crossfade.walk.begin import current
from crossfade.walk.compose import smoke_requests
from crossfade.walk.restore_proof import Drill

EXITS = {Verdict.RESTORED: Exit.DONE, Verdict.FAILED: Exit.NOT_MET, Verdict.UNKNOWN: Exit.INCONCLUSIVE}


@click.command("drill")
@output_option
def command(output: str) -> int:
    """Restore the database into a scratch server, compare all of it, and serve from the copy.

    The service is only read from. The record of it is what `ready` and a purge ask for.
    """
    site = open_site()
    lane = current(open_spool(site)).lane
    config = site.config
    url = admin_url(config.database)
    with progress("drill") as say:
        drill = Drill(site, url, lane, smoke_requests(config), lambda: secrets.token_hex(16), say)
        proof = drill.run()
    if output == "json":
        print_json(proof.to_json())
        return EXITS[proof.verdict]
    for note in proof.notes:
        click.echo(f"note: {note}", err=True)
    if proof.verdict is not Verdict.RESTORED:
        raise _error(proof, proof.database or "the database", drill.record)
    click.echo(text(proof))
    return Exit.DONE


def text(proof: RestoreProof) -> str:
    """What a person reads of a good one."""
    rows = sum(proof.tables.values())
    took = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in proof.took_s.items())
    return (
        f"restored: {proof.database}, {len(proof.tables)} tables with {rows} rows, all the same; "
        f"{proof.version} served from the copy\n  {took}"
    )


def _error(proof: RestoreProof, database: str, record: Path | None) -> Exception:
    problems = "\n".join(proof.problems)
    if proof.verdict is Verdict.FAILED:
        return fail("restore-failed", database=database, problems=problems, record=record)
    return fail("restore-not-verified", database=database, problems=problems, record=record)
