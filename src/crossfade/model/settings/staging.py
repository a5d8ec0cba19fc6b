"""How schema changes are found, and how gently they are walked.

Rule and invariant: see `crossfade.model.requirement`, from where these names are imported by everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.model.settings.field import setting


@dataclass(frozen=True)
class Staging:
    """Schema changes: plain SQL, taken apart into steps that each can be undone."""

    change: str = setting(
        "Where a version's change is, in the version's own directory: an SQL file, or a folder of them that is read"
        " in order. {version} is filled in. A version without that file changes no schema. Empty: no version does.",
        default="",
        example="migrations/{version}.sql",
    )
    alembic: tuple[str, ...] = setting(
        "How Alembic is run in the version's directory, for `-- crossfade: from alembic FROM:TO` in a change.",
        default=("alembic",),
        example=(".venv/bin/alembic",),
    )
    django: tuple[str, ...] = setting(
        "How Django's manage.py is run there, for `-- crossfade: from django APP MIGRATION` in a change.",
        default=("python", "manage.py"),
        example=(".venv/bin/python", "manage.py"),
    )
    star_queries: str = setting(
        "Whether the versions ask for whole rows (SELECT *, RETURNING *) in prepared statements. Such a statement"
        " fails once in each session when its table gets or loses a column. With some, views keep what each version"
        " sees as it is; that takes a role for each lane and no pooler. Left out: a change that would do this is"
        " refused until you have said it.",
        default="",
        choices=("none", "some"),
        example="none",
    )
    both_changed: str = setting(
        "Which shape wins when one write gives both shapes of a value and they say different things.",
        default="new",
        choices=("new", "old"),
    )
    lock_timeout_ms: int = setting(
        "How long a lock that blocks others is waited for, each time it is asked for.",
        default=100,
        unit="milliseconds",
        minimum=1,
        maximum=5000,
    )
    lock_tries_s: float = setting(
        "How long such a lock is asked for again and again before the step has failed.",
        default=60.0,
        unit="seconds",
        minimum=0.1,
        maximum=86400,
    )
    workers: int = setting(
        "How many sessions fill a table at once. More write more at a time, and disturb others more.",
        default=1,
        minimum=1,
        maximum=16,
    )
    batch_ms: int = setting(
        "How long one batch of a backfill should take; its size follows.",
        default=100,
        unit="milliseconds",
        minimum=5,
        maximum=10000,
    )
    passes: int = setting(
        "In how many passes each page is filled. More passes leave less bloat and take longer.",
        default=3,
        minimum=1,
        maximum=8,
    )
    pass_wait_s: float = setting(
        "How long the next pass waits until no snapshot is older than the last one. After that it goes on, and says"
        " that rows will move.",
        default=10.0,
        unit="seconds",
        minimum=0,
        maximum=86400,
    )
    replay_lag_max_ms: int = setting(
        "A backfill rests while a standby is farther behind than this.",
        default=1000,
        unit="milliseconds",
        minimum=1,
        maximum=3600000,
    )
    replay_lag_max_mb: float = setting(
        "A backfill rests while a standby has more WAL than this still to replay; 0: not asked.",
        default=256.0,
        unit="megabytes",
        minimum=0,
        maximum=1000000,
    )
    slot_lag_max_mb: float = setting(
        "A backfill rests while a replication slot in use holds back more WAL than this; 0: not asked.",
        default=4096.0,
        unit="megabytes",
        minimum=0,
        maximum=1000000,
    )
    archive_lag_max_mb: float = setting(
        "A backfill rests while more WAL than this waits to be archived, where archiving is on; 0: not asked.",
        default=1024.0,
        unit="megabytes",
        minimum=0,
        maximum=1000000,
    )
    rows_per_s_max: float = setting(
        "How many rows a second a backfill may fill; 0 is no limit.",
        default=0.0,
        unit="rows per second",
        minimum=0,
        maximum=100000000,
    )
    wal_mb_per_s_max: float = setting(
        "How much WAL a backfill may write; 0 is no limit.",
        default=0.0,
        unit="megabytes per second",
        minimum=0,
        maximum=100000,
    )
    lock_waiters_max: int = setting(
        "A backfill rests while more sessions than this wait for a lock.",
        default=3,
        minimum=0,
        maximum=10000,
    )
    latency_max_ms: int = setting(
        "A backfill rests while the service's own requests are slower than this at the 99th percentile; 0: not asked.",
        default=0,
        unit="milliseconds",
        minimum=0,
        maximum=600000,
    )
    postgres_bin: str = setting(
        "The bin directory of the PostgreSQL that scratch copies run on. Left out: an installed one of the same major"
        " version, else the one from the package index.",
        default="",
    )
