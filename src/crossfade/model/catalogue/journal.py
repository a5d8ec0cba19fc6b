"""The journal, the lease, the spool and the local locks: what keeps a walker from acting."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "journal-unreachable",
        Exit.UNREACHABLE,
        "the journal's database cannot be used; nothing was done that would need it",
        "database: {database}\ncause:    {detail}",
        "traffic can go back without the database: crossfade rollback; to find the cause: crossfade doctor",
    ),
    Kind(
        "journal-foreign",
        Exit.HELD_BY_OTHER,
        "the journal in this database is not the one of service {service!r} here; nothing was acted on",
        "{reason}\nfound:    {found}\nexpected: {expected}",
        "point admin_url, environment and the state directory at the same installation, then: crossfade doctor",
    ),
    Kind(
        "journal-behind",
        Exit.INCONCLUSIVE,
        "the database of service {service!r} is not where the spool left it; the release holds",
        "{reason}\nfound:    {found}\nexpected: {expected}",
        "traffic can go back now: crossfade rollback; once you trust this database: crossfade resume --adopt",
    ),
    Kind(
        "journal-conflict",
        Exit.HELD_BY_OTHER,
        "the database holds other content for {rows} of service {service!r} than the spool",
        "somebody else writes to this journal, or the database or the spool was edited",
        "find out who writes to crossfade.journal: crossfade doctor",
    ),
    Kind(
        "journal-overtaken",
        Exit.HELD_BY_OTHER,
        "row {seq} of service {service!r} was overtaken by a later one while it was written; it was not acted on",
        "last row now: {last}",
        "crossfade status",
    ),
    Kind(
        "lease-held",
        Exit.HELD_BY_OTHER,
        "service {service!r} has been led by another walker since {since}",
        "leader: {holder}, pid {pid} on {host}, epoch {epoch}\nits lease ends {expires_at} unless it is renewed",
        "crossfade status --watch",
    ),
    Kind(
        "lease-lost",
        Exit.HELD_BY_OTHER,
        "this walker no longer leads service {service!r}; it acts on nothing",
        "its epoch: {epoch}\nfound:     {found}",
        "crossfade status --watch",
    ),
    Kind(
        "act-lock-held",
        Exit.HELD_BY_OTHER,
        "the act lock of service {service!r} was held by another process for {waited_s} s",
        "file:   {file}\nholder: {holder}",
        "see what holds it: fuser -v {file}",
    ),
    Kind(
        "spool-damaged",
        Exit.INCONCLUSIVE,
        "line {line} of the spool {file} is damaged; nothing was acted on",
        "its checksum does not match, and whole lines follow it",
        "put back the file from a copy; the database's copy of the rows is in crossfade.journal",
    ),
    Kind(
        "spool-unwritable",
        Exit.UNREACHABLE,
        "the spool {file} cannot be written",
        "the system said: {reason}",
        "free space or mend its permissions; traffic can go back meanwhile: crossfade rollback",
    ),
    Kind(
        "spool-busy",
        Exit.HELD_BY_OTHER,
        "the spool {file} was locked by another process for {waited_s} s",
        "a writer holds it for milliseconds, so one of them hangs or was stopped",
        "see what holds it: fuser -v {file}",
    ),
)
