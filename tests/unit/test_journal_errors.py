"""Every error of the journal, word for word, with its exit code."""

from __future__ import annotations

import pytest

from crossfade.model.errors import Exit, fail

TEXTS = [
    (
        "journal-unreachable",
        {"database": "shop at db:5432", "detail": "no answer within 2 s (it was asked to store a row)"},
        Exit.UNREACHABLE,
        "error[journal-unreachable]: the journal's database cannot be used; nothing was done that would need it\n"
        "  database: shop at db:5432\n"
        "  cause:    no answer within 2 s (it was asked to store a row)\n"
        "hint: traffic can go back without the database: crossfade rollback; to find the cause: crossfade doctor",
    ),
    (
        "journal-foreign",
        {"service": "shop", "reason": "another database", "found": "database copy", "expected": "database shop"},
        Exit.HELD_BY_OTHER,
        "error[journal-foreign]: the journal in this database is not the one of service 'shop' here; nothing was "
        "acted on\n"
        "  another database\n"
        "  found:    database copy\n"
        "  expected: database shop\n"
        "hint: point admin_url, environment and the state directory at the same installation, "
        "then: crossfade doctor",
    ),
    (
        "journal-behind",
        {"service": "shop", "reason": "the database lacks rows", "found": "last row 1", "expected": "row 3"},
        Exit.INCONCLUSIVE,
        "error[journal-behind]: the database of service 'shop' is not where the spool left it; the release holds\n"
        "  the database lacks rows\n"
        "  found:    last row 1\n"
        "  expected: row 3\n"
        "hint: traffic can go back now: crossfade rollback; "
        "once you trust this database: crossfade resume --adopt",
    ),
    (
        "journal-conflict",
        {"service": "shop", "rows": "row 3, 4"},
        Exit.HELD_BY_OTHER,
        "error[journal-conflict]: the database holds other content for row 3, 4 of service 'shop' than the spool\n"
        "  somebody else writes to this journal, or the database or the spool was edited\n"
        "hint: find out who writes to crossfade.journal: crossfade doctor",
    ),
    (
        "journal-overtaken",
        {"service": "shop", "seq": 3, "last": "4, result of release r1"},
        Exit.HELD_BY_OTHER,
        "error[journal-overtaken]: row 3 of service 'shop' was overtaken by a later one while it was written; "
        "it was not acted on\n"
        "  last row now: 4, result of release r1\n"
        "hint: crossfade status",
    ),
    (
        "lease-held",
        {
            "service": "shop",
            "holder": "w1",
            "pid": 7,
            "host": "blue",
            "epoch": 3,
            "since": "2026-11-23 10:00:00 UTC",
            "expires_at": "2026-11-23 10:05:10 UTC",
        },
        Exit.HELD_BY_OTHER,
        "error[lease-held]: service 'shop' has been led by another walker since 2026-11-23 10:00:00 UTC\n"
        "  leader: w1, pid 7 on blue, epoch 3\n"
        "  its lease ends 2026-11-23 10:05:10 UTC unless it is renewed\n"
        "hint: crossfade status --watch",
    ),
    (
        "lease-lost",
        {"service": "shop", "epoch": 3, "found": "epoch 4 acted on this host, pid 9"},
        Exit.HELD_BY_OTHER,
        "error[lease-lost]: this walker no longer leads service 'shop'; it acts on nothing\n"
        "  its epoch: 3\n"
        "  found:     epoch 4 acted on this host, pid 9\n"
        "hint: crossfade status --watch",
    ),
    (
        "act-lock-held",
        {"service": "shop", "file": "/s/shop.epoch", "holder": "pid 7, epoch 3", "waited_s": 2.0},
        Exit.HELD_BY_OTHER,
        "error[act-lock-held]: the act lock of service 'shop' was held by another process for 2.0 s\n"
        "  file:   /s/shop.epoch\n"
        "  holder: pid 7, epoch 3\n"
        "hint: see what holds it: fuser -v /s/shop.epoch",
    ),
    (
        "spool-damaged",
        {"file": "/s/shop.spool", "line": 12},
        Exit.INCONCLUSIVE,
        "error[spool-damaged]: line 12 of the spool /s/shop.spool is damaged; nothing was acted on\n"
        "  its checksum does not match, and whole lines follow it\n"
        "hint: put back the file from a copy; the database's copy of the rows is in crossfade.journal",
    ),
    (
        "spool-unwritable",
        {"file": "/s/shop.spool", "reason": "No space left on device"},
        Exit.UNREACHABLE,
        "error[spool-unwritable]: the spool /s/shop.spool cannot be written\n"
        "  the system said: No space left on device\n"
        "hint: free space or mend its permissions; traffic can go back meanwhile: crossfade rollback",
    ),
    (
        "spool-busy",
        {"file": "/s/shop.spool", "waited_s": 2.0},
        Exit.HELD_BY_OTHER,
        "error[spool-busy]: the spool /s/shop.spool was locked by another process for 2.0 s\n"
        "  a writer holds it for milliseconds, so one of them hangs or was stopped\n"
        "hint: see what holds it: fuser -v /s/shop.spool",
    ),
]


@pytest.mark.parametrize(("id", "facts", "exit_code", "text"), TEXTS, ids=[row[0] for row in TEXTS])
def test_the_whole_text(id, facts, exit_code, text) -> None:
    error = fail(id, **facts)
    assert error.render() == text
    assert error.exit is exit_code
