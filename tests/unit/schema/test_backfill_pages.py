"""The order in which pages are filled, and how many at once: every page in every pass, sized by time."""

from __future__ import annotations

import pytest

from crossfade.schema.pages import CHECK, CHECK_FOUND, PAGES_MAX, WINDOW_PAGES, Cursor, Pace, Passes


def walked(cursor: Cursor, passes: int, at_once: int) -> list[tuple[int, int, int]]:
    """Every batch until the sweep is over: turn, first page, page after the last."""
    done = []
    while not cursor.over:
        first, end = cursor.range(at_once)
        done.append((cursor.turn, first, end))
        cursor = cursor.after(end, passes, rows=0)
    return done


@pytest.mark.parametrize("pages", [1, WINDOW_PAGES - 1, WINDOW_PAGES, WINDOW_PAGES + 1, 3 * WINDOW_PAGES + 7])
@pytest.mark.parametrize("passes", [1, 2, 3, 8])
@pytest.mark.parametrize("at_once", [1, 100, 5000])
def test_every_page_is_in_every_pass_once_and_in_order(pages: int, passes: int, at_once: int) -> None:
    batches = walked(Cursor(pages), passes, at_once)
    for turn in range(passes):
        covered = [page for one, first, end in batches if one == turn for page in range(first, end)]
        assert covered == list(range(pages))


def test_all_passes_over_a_window_come_before_the_next_window() -> None:
    batches = walked(Cursor(2 * WINDOW_PAGES), 2, WINDOW_PAGES)
    assert batches == [
        (0, 0, WINDOW_PAGES),
        (1, 0, WINDOW_PAGES),
        (0, WINDOW_PAGES, 2 * WINDOW_PAGES),
        (1, WINDOW_PAGES, 2 * WINDOW_PAGES),
    ]


def test_each_row_of_a_page_is_taken_by_a_pass_and_the_last_pass_takes_what_is_left() -> None:
    shares = [Cursor(10, 0, turn).share(3) for turn in range(3)]
    assert shares == [(3, 0), (3, 1), None]
    assert Cursor(10, 0, 0).share(1) is None
    assert Cursor(10, 0, 2).share(2) is None  # fewer passes were asked for while it ran


def test_a_table_without_pages_is_over_at_once_and_a_check_counts_what_it_finds() -> None:
    assert Cursor(0).over
    check = Cursor(10, 0, CHECK)
    assert check.after(5, 3, rows=0) == Cursor(10, 5, CHECK)
    assert check.after(5, 3, rows=2) == Cursor(10, 5, CHECK_FOUND)
    assert Cursor(10, 5, CHECK_FOUND).after(10, 3, rows=0) == Cursor(10, 10, CHECK_FOUND)
    assert check.share(3) is None


def test_when_waiting_gains_nothing_a_window_is_filled_in_one_pass() -> None:
    cursor = Cursor(3 * WINDOW_PAGES, WINDOW_PAGES, 0).all_at_once(3)
    assert cursor.share(3) is None
    assert cursor.after(2 * WINDOW_PAGES, 3, rows=1) == Cursor(3 * WINDOW_PAGES, 2 * WINDOW_PAGES, 0)


def test_how_far_it_is_counts_passes() -> None:
    assert Cursor(WINDOW_PAGES, 0, 0).done_pages(2) == 0
    assert Cursor(WINDOW_PAGES, 0, 1).done_pages(2) == WINDOW_PAGES / 2
    assert Cursor(4 * WINDOW_PAGES, WINDOW_PAGES, 0).done_pages(2) == WINDOW_PAGES


def test_batches_grow_step_by_step_and_shrink_at_once() -> None:
    pace = Pace(pages=100)
    pace.ran(took_ms=90, target_ms=100)
    assert pace.pages == 104
    pace.ran(took_ms=150, target_ms=100)
    assert pace.pages == 69
    pace.ran(took_ms=10_000, target_ms=100)
    assert pace.pages == 34


def test_a_pace_far_from_found_doubles_and_has_an_upper_end() -> None:
    pace = Pace()
    sizes = []
    for _ in range(20):
        pace.ran(took_ms=1, target_ms=100)
        sizes.append(pace.pages)
    assert sizes[:4] == [2, 4, 8, 16]
    assert sizes[-1] == PAGES_MAX


def test_a_batch_that_took_too_long_is_made_smaller_then_given_more_time_then_it_is_over() -> None:
    pace = Pace(pages=6, limit_ms=500)
    assert pace.took_too_long(2000)
    assert (pace.pages, pace.limit_ms) == (1, 500)
    assert pace.took_too_long(2000)
    assert pace.took_too_long(2000)
    assert (pace.pages, pace.limit_ms) == (1, 2000)
    assert not pace.took_too_long(2000)
    pace.conflicted()
    assert pace.pages == 1


def test_a_limit_that_was_raised_sinks_when_batches_are_quick_again() -> None:
    pace = Pace(pages=1, limit_ms=8000)
    pace.ran(took_ms=90, target_ms=100)
    assert pace.limit_ms == 4000


def test_passes_are_given_up_when_later_ones_find_no_room_either() -> None:
    passes = Passes()
    passes.ran(Cursor(100, 0, 0), 3, rows=5000, hot=0)  # a first pass moves its rows always
    assert not passes.in_vain
    passes.ran(Cursor(100, 0, 1), 3, rows=999, hot=0)
    assert not passes.in_vain
    passes.ran(Cursor(100, 0, 2), 3, rows=1, hot=0)
    assert passes.in_vain
    passes.ran(Cursor(100, 0, 2), 3, rows=100, hot=50)
    assert not passes.in_vain
