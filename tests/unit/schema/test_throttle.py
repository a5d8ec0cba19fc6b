"""When a backfill rests: each limit alone, what is told, and a standby that stands still."""

from __future__ import annotations

from crossfade.model.settings.staging import Staging
from crossfade.schema.tally import Tally
from crossfade.schema.throttle import Budget, Facts, Held, LogNotes, Standby, end_of_file, reasons

LIMITS = Staging(replay_lag_max_ms=1000, lock_waiters_max=3, latency_max_ms=250)


def why(facts: Facts, notes: LogNotes | None = None, limits: Staging = LIMITS) -> list[str]:
    return reasons(facts, notes or LogNotes(), limits)


def test_nothing_to_rest_for() -> None:
    standby = Standby("reporting", replayed=90, replay_lag_ms=1000)
    assert why(Facts(0, log_end=100, lock_waiters=3, standbys=[standby], latency_ms=250)) == []


def test_each_reason_names_both_numbers() -> None:
    standby = Standby("reporting", replayed=90, replay_lag_ms=1400)
    assert why(Facts(0, log_end=100, lock_waiters=4, standbys=[standby], latency_ms=300)) == [
        "standby reporting is 1400 ms behind, the limit is 1000",
        "4 sessions wait for locks, the limit is 3",
        "the service's requests take 300 ms at the 99th percentile, the limit is 250",
    ]


def test_a_standby_that_has_caught_up_is_not_behind_whatever_it_reported_last() -> None:
    assert why(Facts(0, log_end=100, standbys=[Standby("s", replayed=100, replay_lag_ms=9000)])) == []


def test_a_standby_that_stands_still_is_behind_by_our_own_notes() -> None:
    notes = LogNotes()
    for second, log_end in enumerate([100, 200, 300, 300, 400]):
        notes.note(10.0 + second, log_end)
    # It has replayed up to 150; log beyond that has been there since second 11.
    stalled = Standby("s", replayed=150, replay_lag_ms=None)
    assert why(Facts(14.0, log_end=400, standbys=[stalled]), notes) == [
        "standby s is 3000 ms behind, the limit is 1000"
    ]
    assert notes.age_ms(400, 14.0) == 0.0


def test_notes_stay_bounded_and_keep_their_order() -> None:
    notes = LogNotes()
    for n in range(20_000):
        notes.note(n / 10, n)
    assert 1_000_000 < notes.age_ms(100, 2000.0) <= 1_990_000  # coarse for what is long ago, never too much
    assert notes.age_ms(19_998, 2000.0) <= 200
    assert len(notes._ends) <= 4096


def test_latency_is_not_asked_without_a_limit_or_a_measurement() -> None:
    assert why(Facts(0, 0, latency_ms=9000), limits=Staging(latency_max_ms=0)) == []
    assert why(Facts(0, 0, latency_ms=None)) == []


def test_the_log_is_held_to_a_rate_over_time() -> None:
    budget = Budget()
    budget.spend(5.0, began_s=10.0, per_s_max=10.0)
    assert round(budget.rest_s(10.1), 6) == 0.4
    budget.spend(1.0, began_s=10.5, per_s_max=10.0)
    assert round(budget.rest_s(10.5), 6) == 0.1
    assert budget.rest_s(99.0) == 0.0


def test_without_a_limit_the_log_is_free() -> None:
    budget = Budget()
    budget.spend(10.0**12, began_s=10.0, per_s_max=0.0)
    assert budget.rest_s(10.0) == 0.0


def test_what_is_told_while_it_fills() -> None:
    tally = Tally(began_s=0.0)
    assert tally.line("public.orders", 0, 4096, 1.0) == "fills public.orders: 0 of 4096 pages, 0 rows, 0 rows/s"
    tally.new_table(filled=500, about=6000)
    tally.line("public.orders", 0, 4096, 1.0)
    tally.batch(rows=1000, took_ms=90.0, wal_bytes=640_000, hot=600)
    assert tally.line("public.orders", 1024, 4096, 2.0, workers=2) == (
        "fills public.orders: 1024 of 4096 pages, 1500 of about 6000 rows, 500 rows/s, 640 bytes of WAL a row,"
        " 2 workers, 3 s left"
    )
    tally.new_sweep()
    assert tally.line("public.orders", 10, 4096, 2.0, checking=True) == "checks public.orders: 10 of 4096 pages"
    assert tally.measured(2.0, rested_s=0.5)["hot_ratio"] == 0.6
    assert tally.end("public.orders", 2.0) == (
        "public.orders: every row is filled; in 2 s 1000 rows, 640 bytes of WAL a row, 60% stayed on their page"
    )
    assert Tally(began_s=0.0).end("public.orders", 2.0) == "public.orders: no row is unfilled"


def test_bytes_of_a_standby_of_a_slot_and_of_the_archive_have_limits_of_their_own() -> None:
    facts = Facts(
        0,
        log_end=900_000_000,
        standbys=[Standby("reporting", replayed=600_000_000, replay_lag_ms=10)],
        slots=[Held("cdc", from_byte=100_000_000)],
        archived_to=500_000_000,
    )
    limits = Staging(replay_lag_max_mb=299, slot_lag_max_mb=799, archive_lag_max_mb=399)
    assert why(facts, limits=limits) == [
        "standby reporting is 300 MB behind, the limit is 299",
        "slot cdc holds back 800 MB of WAL, the limit is 799",
        "400 MB of WAL wait to be archived, the limit is 399",
    ]
    assert why(facts, limits=Staging(replay_lag_max_mb=300, slot_lag_max_mb=800, archive_lag_max_mb=400)) == []
    assert why(facts, limits=Staging(replay_lag_max_mb=0, slot_lag_max_mb=0, archive_lag_max_mb=0)) == []


def test_where_a_file_of_the_log_ends() -> None:
    mb = 2**20
    assert end_of_file("000000010000000000000001", 16 * mb) == 2 * 16 * mb
    assert end_of_file("0000000200000003000000FF", 16 * mb) == 4 * 2**32
    assert end_of_file("000000010000000100000003", 1024 * mb) == 2 * 2**32
    assert end_of_file("00000002.history", 16 * mb) is None
    assert end_of_file("", 16 * mb) is None
    assert end_of_file("00000001000000000000000x", 16 * mb) is None
