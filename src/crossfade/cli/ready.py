"""`crossfade ready`: are we ready for the next release, and how do we know?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

import click

from crossfade.backup.proof import newest_restore_proof
from crossfade.cli.site import open_site, open_spool, output_option, print_json
from crossfade.evidence.readiness import Line, Measured, Standing, report
from crossfade.host.files import read_json
from crossfade.journal.spool import Spool
from crossfade.model.errors import Exit
from crossfade.model.ports import Row
from crossfade.walk.begin import current
from crossfade.walk.site import Site

MARKS = {Standing.REFUSED: "NO", Standing.WAIVED: "waived", Standing.UNKNOWN: "?", Standing.PROVEN: "yes"}
COLOURS = {Standing.REFUSED: "red", Standing.WAIVED: "red", Standing.UNKNOWN: "yellow", Standing.PROVEN: "green"}


def measured(site: Site, spool: Spool) -> Measured:
    """What this machine's proofs and journal say."""
    proofs = sorted((site.state_dir / "proofs").glob("ready-check-*.json"), key=lambda f: f.stat().st_mtime)
    proof = read_json(proofs[-1]) if proofs else None
    back = _newest(spool.rows(), "decided_to_old_only_ms")
    restored = newest_restore_proof(site.state_dir)
    walked = None
    if back is not None:
        walked = f"release {back.release} went back on {back.at:%Y-%m-%d %H:%M} UTC"
    return Measured(
        ready_check=f"{proof['said']} ({proof['version']}, {str(proof['at'])[:10]})" if proof else None,
        old_boot_ms=current(spool).boot_ms,
        fader_ms=int(str(back.data["decided_to_old_only_ms"])) if back else None,
        has_fuse=site.config.traffic.driver == "haproxy",
        way_back_walked=walked,
        restore_proof_age_days=None if restored is None else (site.clock.now() - restored.at).total_seconds() / 86400,
        restore_verdict="" if restored is None else str(restored.verdict),
    )


def _newest(rows: Sequence[Row], key: str) -> Row | None:
    return next((row for row in reversed(rows) if key in row.data), None)


def text(lines: Sequence[Line], today: date) -> str:
    """The report for a person."""
    out = [f"readiness on {today}:"]
    for line in lines:
        mark = click.style(f"{MARKS[line.standing]:>7}", fg=COLOURS[line.standing])
        out.append(f"{mark}  {line.question}\n         {line.answer}")
        if line.remedy:
            out.append(f"         hint: {line.remedy}")
    return "\n".join(out)


@click.command("ready")
@output_option
def command(output: str) -> int:
    """List what is proven, waived and unknown for the next release, in the order of risk."""
    site = open_site()
    today = site.clock.now().date()
    lines = report(site.config, measured(site, open_spool(site)), today)
    if output == "json":
        print_json({"date": str(today), "lines": [asdict(line) for line in lines]})
    else:
        click.echo(text(lines, today))
    if any(line.standing is Standing.REFUSED for line in lines):
        return Exit.NOT_MET
    return Exit.INCONCLUSIVE if any(line.standing is Standing.UNKNOWN for line in lines) else Exit.DONE
