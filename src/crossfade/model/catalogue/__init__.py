"""The rows of the error catalogue, one table for each area.

A new row goes into the file of its area; a new area is a new file, named in `ALL_ROWS`.
"""

from __future__ import annotations

from crossfade.model.catalogue import (
    census,
    configuration,
    demo,
    inputs,
    journal,
    ours,
    parts,
    ready_check,
    releases,
    restore,
    runtime,
    schema_alone,
    schema_plan,
    schema_run,
    traffic,
    versions,
)
from crossfade.model.catalogue.kind import Kind

ALL_ROWS: tuple[Kind, ...] = (
    *configuration.ROWS,
    *parts.ROWS,
    *runtime.ROWS,
    *versions.ROWS,
    *traffic.ROWS,
    *journal.ROWS,
    *releases.ROWS,
    *ready_check.ROWS,
    *inputs.ROWS,
    *schema_plan.ROWS,
    *schema_run.ROWS,
    *schema_alone.ROWS,
    *restore.ROWS,
    *census.ROWS,
    *demo.ROWS,
    *ours.ROWS,
)
