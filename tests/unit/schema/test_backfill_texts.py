"""The statements of a batch, word for word, and the words for a duration."""

from __future__ import annotations

from crossfade.model.change import Backfill
from crossfade.schema.compare import Comparison
from crossfade.schema.leaf import Leaf, counting_text, update_text
from crossfade.schema.tally import in_words

TASK = Backfill("k", "public.orders", (("code", "upper(r)"), ('"n"', "1")), "code IS NULL", "false")
LEAF = Leaf(1, 'public."orders_2026"', "orders", is_root=False)
RANGE = "orders.ctid >= '(5,0)'::tid AND orders.ctid < '(9,0)'::tid AND (code IS NULL) IS TRUE"


def test_a_batch_takes_the_unfilled_rows_of_its_pages() -> None:
    assert update_text(TASK, LEAF, (5, 9), None, pass_over=False) == (
        f'UPDATE ONLY public."orders_2026" AS orders SET code = (upper(r)), "n" = (1) WHERE {RANGE}'
    )


def test_a_pass_takes_every_nth_row_of_a_page() -> None:
    text = update_text(TASK, LEAF, (5, 9), (3, 1), pass_over=False)
    assert text.endswith(f"WHERE {RANGE} AND pg_catalog.get_byte(pg_catalog.tidsend(orders.ctid), 5) % 3 = 1")


def test_rows_that_others_have_locked_are_left_out_when_asked_to() -> None:
    assert update_text(TASK, LEAF, (5, 9), None, pass_over=True).partition(" WHERE ")[2] == (
        f'orders.ctid = ANY (ARRAY(SELECT orders.ctid FROM ONLY public."orders_2026" AS orders WHERE {RANGE}'
        " FOR NO KEY UPDATE SKIP LOCKED)) AND (code IS NULL) IS TRUE"
    )


def test_the_check_counts_what_is_unfilled_after_it() -> None:
    assert counting_text(TASK, "UPDATE x") == (
        "WITH done AS (UPDATE x RETURNING (code IS NULL) IS TRUE AS crossfade_still_unfilled)"
        " SELECT count(*), count(*) FILTER (WHERE crossfade_still_unfilled) FROM done"
    )


def test_a_comparison_that_stopped_early_says_at_least() -> None:
    assert Comparison(10, 3).how_many == "3"
    assert Comparison(10, 3, whole=False).how_many == "at least 3"


def test_durations_as_people_say_them() -> None:
    assert [in_words(seconds) for seconds in (3, 89, 600, 7200)] == ["3 s", "89 s", "10 min", "2.0 h"]
