"""A schema engine in memory: stages, acts that may be killed in the middle, and a database that loses what it had.

Rule: it keeps the promises of the port: an act done twice is done once, and one that was cut off is finished by
doing it again. What it did is in `touched`, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from crossfade.model.change import Change, Stage
from crossfade.model.errors import fail
from crossfade.model.ports import GoOn, Measured, Say, SchemaFacts, Standing


@dataclass
class FakeSchemaEngine:
    """`SchemaEngine` over one variable."""

    stage: Stage = Stage.BASE
    change: Change | None = None
    version: str = ""
    differing: int = 0  # rows on which the shapes differ when they are compared
    expand_fails: bool = False
    roles: dict[str, str] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    during: Callable[[str], None] = lambda act: None  # called in the middle of every act  # noqa: ARG005

    def facts(self, *, counted: bool = False) -> SchemaFacts:  # noqa: ARG002
        """Where the change stands."""
        if self.change is None or self.stage is Stage.BASE:
            return SchemaFacts(None)
        if self.stage is Stage.GONE:
            return SchemaFacts(None, gone=[self.change.id])
        standing = Standing(self.change, self.stage, self.version, datetime(2026, 1, 1, tzinfo=UTC))
        return SchemaFacts(None, [standing]) if self.stage is Stage.HIDDEN else SchemaFacts(standing)

    def lanes(self, roles: Mapping[str, str]) -> None:
        """Remember them."""
        self.roles = dict(roles)

    def expand(self, change: Change, version: str, go_on: GoOn, say: Say) -> Measured:  # noqa: ARG002
        """BASE to BOTH; later, nothing but whose it is."""
        self.change, self.version = change, version
        if self.stage is not Stage.BASE:
            return {}
        if self.expand_fails:
            raise fail("schema-shapes-differ", table="simulated", rows="1", examples="simulated")
        return self._reach("expand", Stage.BASE, Stage.BOTH)

    def backfill(self, change: Change, go_on: GoOn, say: Say) -> Measured:  # noqa: ARG002
        """BOTH to EQUAL, unless rows differ."""
        if self.differing:
            raise fail("schema-shapes-differ", table="orders", rows=str(self.differing), examples="1")
        assert self.stage is not Stage.BASE, "nothing is expanded"
        return self._reach("backfill", Stage.BOTH, Stage.EQUAL)

    def record(self, change: Change, go_on: GoOn, say: Say) -> Measured:  # noqa: ARG002
        """Nothing to see."""
        self.touched.append("record")
        return {}

    def detach(self, change: Change, go_on: GoOn, say: Say) -> Measured:  # noqa: ARG002
        """EQUAL to HIDDEN."""
        return self._reach("detach", Stage.EQUAL, Stage.HIDDEN)

    def attach(self, change: Change, go_on: GoOn, say: Say) -> Measured:  # noqa: ARG002
        """HIDDEN to EQUAL."""
        return self._reach("attach", Stage.HIDDEN, Stage.EQUAL)

    def undo(self, change: Change, go_on: GoOn, say: Say) -> Measured:  # noqa: ARG002
        """To BASE from wherever it stands."""
        assert self.stage not in (Stage.HIDDEN, Stage.GONE), f"undone while {self.stage}"
        return self._reach("undo", self.stage, Stage.BASE)

    def purge(self, change: Change, go_on: GoOn, say: Say) -> Measured:  # noqa: ARG002
        """HIDDEN to GONE."""
        return self._reach("purge", Stage.HIDDEN, Stage.GONE)

    def _reach(self, act: str, since: Stage, until: Stage) -> Measured:
        self.touched.append(act)
        self.during(act)
        if self.stage is since:
            self.stage = until
        return {"steps": []}
