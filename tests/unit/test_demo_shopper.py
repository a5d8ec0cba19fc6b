"""The customers of the load ask in the stated mix and notice a wrong answer."""

from __future__ import annotations

import random
from collections import Counter

from crossfade.demo.load_shopper import Answer, Ask, Shoppers


def signed_in(users: int = 10) -> Shoppers:
    shoppers = Shoppers("run", users, random.Random(1))
    while len(shoppers._cookie) < users:
        ask = shoppers.next_ask()
        if ask.endpoint == "POST /login":
            assert shoppers.judge(ask, Answer(200, body={"user_id": 7}, session=f"s-{ask.user}")) == ""
            shoppers.ended(ask)
    return shoppers


def order_of(shoppers: Shoppers, cookie: bool) -> Ask:
    while True:
        ask = shoppers.next_ask()
        if ask.endpoint == "POST /orders" and bool(ask.cookie) == cookie:
            return ask


def told(order_id: str, total_cents: int, **more: object) -> dict[str, object]:
    lines = [{"product_id": 1, "quantity": 1, "gift": True}]
    return {"id": order_id, "total_cents": total_cents, "reference": "run/1", "lines": lines, **more}


def test_the_mix_is_as_stated_and_half_of_it_is_signed_in() -> None:
    shoppers = signed_in()
    for cookie in (True, False):
        shoppers.acknowledged(order_of(shoppers, cookie), Answer(201, body=told("o", 5)), 0.0)
    asks = [shoppers.next_ask() for _ in range(10_000)]
    share = {endpoint: count / len(asks) for endpoint, count in Counter(ask.endpoint for ask in asks).items()}
    for endpoint, expected in {
        "GET /products": 0.55,
        "GET /products/{id}": 0.15,
        "POST /orders": 0.20,
        "GET /orders/{id}": 0.10,
    }.items():
        assert abs(share[endpoint] - expected) < 0.02
    assert abs(sum(bool(ask.cookie) for ask in asks) / len(asks) - 0.5) < 0.02
    keys = [ask.key for ask in asks if ask.key]
    assert len(set(keys)) == len(keys)


def test_an_acknowledged_order_is_asked_for_by_its_owner_and_its_total_and_reference_are_checked() -> None:
    shoppers = signed_in()
    order = order_of(shoppers, cookie=True)
    row = shoppers.acknowledged(order, Answer(201, body=told("abc", 990, channel="app"), version="v1"), 3.0)
    assert (row.key, row.order_id, row.user_id, row.total_cents) == (order.key, "abc", 7, 990)
    assert (row.channel, row.currency, row.gift, row.wrapping) == ("app", None, (True,), None)
    ask = next(ask for ask in iter(shoppers.next_ask, None) if ask is not None and ask.path == "/orders/abc")
    assert ask.cookie == order.cookie
    assert shoppers.judge(ask, Answer(200, body=told("abc", 990))) == ""
    assert shoppers.judge(ask, Answer(200, body=told("abc", 991))) == "another total than acknowledged"
    other = {**told("abc", 990), "reference": "run/2"}
    assert shoppers.judge(ask, Answer(200, body=other)) == "another reference than acknowledged"


def test_an_order_taken_with_another_reference_is_a_failure() -> None:
    shoppers = signed_in()
    order = order_of(shoppers, cookie=False)
    assert order.body is not None
    right = {**told("abc", 990), "reference": order.body["reference"]}
    assert shoppers.judge(order, Answer(201, body=right)) == ""
    assert shoppers.judge(order, Answer(201, body={**right, "reference": ""})) == "another reference than sent"


def test_some_customers_say_what_only_some_versions_understand() -> None:
    shoppers = Shoppers("run", 0, random.Random(1))
    bodies = [order_of(shoppers, cookie=False).body or {} for _ in range(500)]
    lines = [line for body in bodies for line in body["lines"]]
    for found, most in (
        ([body for body in bodies if "channel" in body], 0.3),
        ([body for body in bodies if "currency" in body], 0.3),
        ([line for line in lines if line.get("gift")], 0.6),
        ([line for line in lines if "wrapping" in line], 0.3),
    ):
        assert 20 < len(found) < most * len(lines)


def test_a_report_without_its_end_is_a_failure() -> None:
    shoppers = signed_in()
    ask = shoppers.long_ask(10)
    assert ask.path == "/reports/daily?seconds=10"
    assert shoppers.judge(ask, Answer(200, body="page,1\nend\n")) == ""
    assert shoppers.judge(ask, Answer(200, body="page,1\n")) == "the report has no end"


def test_who_could_not_sign_in_tries_again() -> None:
    shoppers = Shoppers("run", 1, random.Random(1))

    def sign_ins(arrivals: int) -> list[Ask]:
        return [ask for ask in (shoppers.next_ask() for _ in range(arrivals)) if ask.endpoint == "POST /login"]

    (first,) = sign_ins(100)  # one at a time
    shoppers.ended(first)
    assert len(sign_ins(100)) == 1
