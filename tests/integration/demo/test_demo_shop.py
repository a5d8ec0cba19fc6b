"""The shop does what an ordinary shop does, and each version differs as it says."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import urllib3

from crossfade.demo.service import VERSIONS, account, prepare


def sign_in(instance: Any, number: int = 0) -> str:
    email, password = account(number)
    answer = instance.ask("POST", "/login", json={"email": email, "password": password})
    assert answer.status == 200, answer.data
    return answer.headers["Set-Cookie"].partition(";")[0]


NEEDS = {"v7": ["v7"], "v8": ["v7", "v8"], "v8b": ["v7", "v8"]}
FAULTY = ("v3", "v4", "v5", "v6", "v30")
BUILT = [(version, "v2") for version in VERSIONS] + [(version, "v7") for version in FAULTY]


@pytest.mark.parametrize(("version", "parent"), BUILT)
def test_every_version_answers_on_its_own_shape_of_the_database(
    start: Any, reshape: Any, version: str, parent: str
) -> None:
    reshape(*NEEDS.get(parent if version in FAULTY else version, []))
    instance = start(version, parent=parent)
    assert {instance.ask("GET", path).headers["X-Version"] for path in ("/healthz", "/products")} == {version}
    for number in range(7):  # from the sixth on statements are prepared
        placed = instance.order(f"smoke{number}", test=True)
        assert placed.status == 201, placed.data
        shown = instance.ask("GET", f"/orders/{placed.json()['id']}", timeout_s=20) if version != "v5" else placed
        assert shown.json() == placed.json()
        assert placed.json()["reference"] == f"for smoke{number}"
        assert placed.json()["total_cents"] == 637
        assert instance.order(f"smoke{number}", test=True).json() == placed.json()
    assert instance.ask("GET", "/reports/daily?seconds=0").data.endswith(b"end\n")
    assert instance.stop() == 0


OWN_WORDS = [
    ("v1", {"channel": "app"}, {"gift": True}),
    ("v1b", {"channel": "app"}, {"gift": True}),
    ("v7", {"currency": "CHF"}, {"gift": True}),
    ("v8", {"currency": "CHF"}, {"wrapping": "recycled"}),
    ("v8b", {"currency": "CHF"}, {"wrapping": "recycled"}),
]


@pytest.mark.parametrize(("version", "words", "line_word"), OWN_WORDS)
def test_each_version_takes_and_says_its_own_words_of_an_order(
    start: Any, reshape: Any, version: str, words: dict[str, str], line_word: dict[str, Any]
) -> None:
    reshape(*NEEDS.get(version, []))
    shop = start(version)

    def ask(key: str, line: Any, **body: Any) -> Any:
        body = {"lines": [{"product_id": 1, "quantity": 1, **line}], **body}
        return shop.ask("POST", "/orders", headers={"Idempotency-Key": key, "X-Test-Account": "1"}, json=body)

    everything = {"reference": "r", "channel": "app", "currency": "CHF"}
    placed = ask("all", {"gift": True, "wrapping": "recycled"}, **everything)
    assert placed.status == 201, placed.data
    assert placed.json() | {"id": ""} == {
        "id": "",
        "user_id": None,
        "total_cents": 637,
        "is_test": True,
        "reference": "r",
        **words,
        "lines": [{"product_id": 1, "quantity": 1, **line_word}],
    }
    odd: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"wrapping": "foil"}, {}),
        ({}, {"currency": "shells"}),
        ({}, {"channel": "post"}),
    ]
    for number, (line, body) in enumerate(odd):
        known = {*line, *body} <= {*words, *line_word}
        assert ask(f"odd{number}", line, **body).status == (400 if known else 201)


def test_the_new_words_have_a_meaning_for_those_who_leave_them_out(start: Any, reshape: Any) -> None:
    reshape("v7", "v8")
    order = start("v8b").order("plain", test=True).json()
    assert (order["currency"], order["lines"][0]["wrapping"]) == ("EUR", "plain")


def test_a_sign_in_made_on_one_version_is_valid_on_the_next_and_back(start: Any) -> None:
    old, new = start("v1"), start("v2")
    cookie = sign_in(old)
    placed = new.order("k1", cookie)
    assert placed.status == 201
    order = old.ask("GET", f"/orders/{placed.json()['id']}", headers={"Cookie": cookie})
    assert order.status == 200
    assert order.json()["lines"] == [{"product_id": 1, "quantity": 1, "gift": False}]
    assert order.json()["user_id"] is not None


def test_an_order_is_seen_by_its_owner_only(start: Any) -> None:
    shop = start("v1")
    path = f"/orders/{shop.order('k1', sign_in(shop, 0)).json()['id']}"
    assert shop.ask("GET", path).status == 404
    assert shop.ask("GET", path, headers={"Cookie": sign_in(shop, 1)}).status == 404
    guests = shop.order("k2").json()["id"]
    assert shop.ask("GET", f"/orders/{guests}").status == 200


def test_the_same_key_gives_the_same_order_and_another_content_is_refused(start: Any, database: Any) -> None:
    shop = start("v1")
    first, again = shop.order("once"), shop.order("once")
    assert (first.status, again.status) == (201, 200)
    assert first.json() == again.json()
    assert shop.order("once", quantity=2).status == 409
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: shop.order("together"), range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    with psycopg.connect(database.admin_url) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (2,)


def test_what_the_customer_did_wrong_is_said_and_stores_nothing(start: Any, database: Any) -> None:
    shop = start("v1")
    line = {"product_id": 1, "quantity": 1}
    key = {"Idempotency-Key": "k"}
    cases: list[tuple[int, dict[str, str], Any]] = [
        (400, {}, {"lines": [line]}),
        (400, key, {"lines": []}),
        (400, key, {"lines": [{**line, "quantity": 0}]}),
        (400, key, {"lines": [{"product_id": "x", "quantity": 1}]}),
        (400, key, [1]),
        (422, key, {"lines": [{**line, "product_id": 4711}]}),
        (401, {**key, "Cookie": "shop_session=stale"}, {"lines": [line]}),
    ]
    for status, headers, body in cases:
        answer = shop.ask("POST", "/orders", headers=headers, json=body)
        assert (answer.status, "error" in answer.json()) == (status, True), (body, answer.data)
    wrong = shop.ask("POST", "/login", json={"email": account(0)[0], "password": "guessed"})
    assert wrong.status == 401
    assert shop.ask("GET", "/orders/not-an-id").status == 404
    assert shop.ask("GET", "/products/4711").status == 404
    assert shop.ask("GET", "/reports/daily?seconds=never").status == 400
    with psycopg.connect(database.admin_url) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)


def test_a_test_account_leaves_marked_rows(start: Any, database: Any) -> None:
    shop = start("v1", SHOP_ERROR_RATIO="1")
    assert shop.order("smoke", test=True).status == 201
    assert shop.order("real").status == 500
    with psycopg.connect(database.admin_url) as connection:
        rows = connection.execute("SELECT idempotency_key, is_test FROM orders").fetchall()
    assert rows == [("smoke", True)]


def test_the_application_role_may_not_run_ddl_and_prepare_may_run_again(database: Any) -> None:
    with psycopg.connect(database.admin_url) as connection:
        before = connection.execute("SELECT count(*), min(password_hash) FROM users").fetchone()
    prepare(database.admin_url, "shop_app", "a password")
    with psycopg.connect(database.admin_url) as connection:
        assert connection.execute("SELECT count(*), min(password_hash) FROM users").fetchone() == before
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for statement in (
            "CREATE TABLE extra (id int)",
            "ALTER TABLE orders ADD COLUMN extra int",
            "DROP TABLE order_lines",
            "TRUNCATE orders",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("way", ["hang", "refuse"])
def test_readiness_turns_red_when_the_database_is_cut_and_green_again(
    start: Any, database: Any, line: Any, cluster: Any, way: str
) -> None:
    shop = start("v1", DATABASE_URL=database.app_url.replace(f":{cluster.port}/", f":{line.port}/"))
    getattr(line, way)()
    began = time.monotonic()
    assert shop.ask("GET", "/readyz").status == 503
    assert time.monotonic() - began < 3
    assert shop.ask("GET", "/healthz").status == 200
    assert shop.ask("GET", "/readyz").status == 503
    line.mend()
    from_now = time.monotonic()
    while shop.ask("GET", "/readyz").status != 200:
        assert time.monotonic() - from_now < 15
        time.sleep(0.1)
    assert shop.ask("GET", "/products").status == 200


def test_it_is_up_and_not_ready_without_a_database(start: Any, database: Any) -> None:
    shop = start("v1", ready=False, DATABASE_URL="postgresql://shop_app@127.0.0.1:1/none")
    assert shop.ask("GET", "/readyz").status == 503
    assert shop.ask("GET", "/products").status == 503
    assert shop.stop() == 0


def test_v2_shows_a_badge_and_v1_does_not(start: Any) -> None:
    assert "badge" in start("v2").ask("GET", "/products/1").json()
    assert "badge" not in start("v1").ask("GET", "/products/1").json()


@pytest.mark.parametrize(("version", "least", "most"), [("v3", 0.02, 0.09), ("v30", 0.24, 0.37), ("v2b", 0, 0.02)])
def test_a_bad_version_fails_its_part_of_the_orders_and_the_same_ones_each_time(
    start: Any, version: str, least: float, most: float
) -> None:
    shop = start(version)
    keys = [f"key-{number}" for number in range(400)]
    with ThreadPoolExecutor(4) as crowd:
        first = list(crowd.map(lambda key: shop.order(key).status, keys))
        again = list(crowd.map(lambda key: shop.order(key).status, keys))
    assert set(first) <= {201, 500}
    assert least <= first.count(500) / len(keys) <= most
    assert [status == 500 for status in first] == [status == 500 for status in again]
    assert shop.is_ready()


def test_v4_is_slow_on_the_catalogue_and_nowhere_else(start: Any) -> None:
    shop = start("v4")

    def median_s(path: str) -> float:
        times = []
        for _ in range(5):
            began = time.monotonic()
            assert shop.ask("GET", path).status == 200
            times.append(time.monotonic() - began)
        return statistics.median(times)

    assert median_s("/products") >= 0.4
    assert median_s("/products/1") < 0.4


def test_v5_hangs_on_some_orders_and_serves_the_others(start: Any) -> None:
    shop = start("v5")
    ids = [shop.order(f"k{number}").json()["id"] for number in range(60)]

    def hangs(order_id: str) -> bool:
        try:
            return bool(shop.ask("GET", f"/orders/{order_id}", timeout_s=3).status != 200)
        except urllib3.exceptions.TimeoutError:
            return True

    with ThreadPoolExecutor(30) as crowd:
        hung = sum(crowd.map(hangs, ids))
    assert 6 <= hung <= 32
    assert shop.is_ready()
    assert shop.stop() == 0  # answers nobody waits for any more do not hold it up
