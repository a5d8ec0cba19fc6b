"""The record of a restore: what was restored, what was found, and when.

Rule: the newest record counts, also where it says that the restore failed: an older success says nothing of the
backup there is now. A record holds counts and digests, never a row, an address with a password, or a password.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from crossfade.host.files import read_json, write_json

PATTERN = "restore-*.json"


class Verdict(StrEnum):
    """How it ended."""

    RESTORED = "restored"
    FAILED = "failed"
    UNKNOWN = "could not verify"


@dataclass(frozen=True)
class RestoreProof:
    """One drill. `took_s` is by phase; `tables` are row counts."""

    verdict: Verdict
    at: datetime
    service: str
    environment: str
    version: str  # the version that was started on the copy; empty: none serves
    database: str
    system_identifier: str | None
    schema: str
    tables: Mapping[str, int] = field(default_factory=dict)
    took_s: Mapping[str, float] = field(default_factory=dict)
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        return {**asdict(self), "at": self.at.isoformat()}


def write_proof(state_dir: Path, proof: RestoreProof) -> Path:
    """Keep it, durably; the file's name sorts by time."""
    file = state_dir / "proofs" / f"restore-{proof.at:%Y%m%dT%H%M%S.%fZ}.json"
    write_json(file, proof.to_json(), durable=True)
    return file


def newest_restore_proof(state_dir: Path) -> RestoreProof | None:
    """The newest one, also if it failed; None where there is none."""
    for file in sorted((state_dir / "proofs").glob(PATTERN), reverse=True):
        raw = read_json(file)
        if raw is not None:
            return _read(raw)
    return None


def _read(raw: Mapping[str, object]) -> RestoreProof:
    known = {name: raw[name] for name in RestoreProof.__dataclass_fields__ if name in raw}
    known["verdict"] = Verdict(str(known["verdict"]))
    for name in ("problems", "notes"):
        known[name] = tuple(known[name])  # type: ignore[arg-type]
    known["at"] = datetime.fromisoformat(str(known["at"]))
    return RestoreProof(**known)  # type: ignore[arg-type]
