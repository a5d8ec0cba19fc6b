"""What the customers of the load do: who asks for what next, and whether an answer is the right one.

Half of the arrivals belong to customers who sign in once and keep their cookie, half to guests. The
mix: 55 % the catalogue, 15 % a product, 20 % an order, 10 % one of the orders acknowledged before.
Pure but for the random numbers it is given.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import Any

from crossfade.demo.service.seed import ACCOUNTS, PRODUCTS, account
from crossfade.demo.shapes import Acknowledged

REMEMBERED = 500  # own orders that are asked for again, the newest


@dataclass(frozen=True)
class Answer:
    """What came back. `body` is the JSON, or the text of another kind; `error` is empty where all came well."""

    status: int = 0
    error: str = ""
    version: str = ""
    slot: str = ""
    body: Any = None
    session: str = ""


@dataclass(frozen=True)
class Ask:
    """One request to send."""

    method: str
    path: str
    endpoint: str
    user: str = ""
    cookie: str = ""
    key: str = ""
    body: dict[str, Any] | None = None
    long: bool = False
    expected: tuple[str, int] | None = None  # reference and total of an order that is asked for again


class Shoppers:
    """The customers of one run. `run` is a text that no other run has."""

    def __init__(self, run: str, users: int, rng: random.Random) -> None:
        self.run = run
        self._users = users
        self._rng = rng
        self._cookie: dict[int, str] = {}
        self._user_id: dict[int, int] = {}
        self._signing_in: set[int] = set()
        self._orders: dict[bool, deque[tuple[str, str, str, tuple[str, int]]]] = {
            True: deque(maxlen=REMEMBERED),
            False: deque(maxlen=REMEMBERED),
        }
        self._ordered = 0

    def next_ask(self) -> Ask:
        """What the next arrival wants."""
        guest = self._rng.random() < 0.5
        number = self._rng.randrange(self._users) if self._users else 0
        if guest or not self._users:
            return self._shop(f"guest{number}", "")
        if number not in self._cookie:
            if number not in self._signing_in:
                self._signing_in.add(number)
                return self._login(number)
            return self._shop(f"guest{number}", "")
        return self._shop(f"user{number}", self._cookie[number])

    def long_ask(self, seconds: float) -> Ask:
        """The report that takes its time."""
        return Ask("GET", f"/reports/daily?seconds={seconds:g}", "GET /reports/daily", "manager", long=True)

    def _login(self, number: int) -> Ask:
        email, password = account(number % ACCOUNTS)
        body = {"email": email, "password": password}
        return Ask("POST", "/login", "POST /login", f"user{number}", body=body)

    def _shop(self, user: str, cookie: str) -> Ask:
        choice = self._rng.random()
        known = self._orders[bool(cookie)]
        if choice < 0.55:
            return Ask("GET", "/products", "GET /products", user, cookie)
        if choice < 0.75:
            self._ordered += 1
            reference = f"{self.run}/{self._ordered}"
            picked = self._rng.sample(range(1, PRODUCTS + 1), self._rng.randint(1, 3))
            body = {"reference": reference, "lines": [self._line(product) for product in picked], **self._extras()}
            return Ask("POST", "/orders", "POST /orders", user, cookie, f"key-{self.run}-{self._ordered}", body)
        if choice < 0.85 and known:
            owner, owners_cookie, order_id, expected = self._rng.choice(known)
            path = f"/orders/{order_id}"
            return Ask("GET", path, "GET /orders/{id}", owner, owners_cookie, expected=expected)
        path = f"/products/{self._rng.randint(1, PRODUCTS)}"
        return Ask("GET", path, "GET /products/{id}", user, cookie)

    def _line(self, product: int) -> dict[str, Any]:
        line: dict[str, Any] = {"product_id": product, "quantity": self._rng.randint(1, 3)}
        if self._rng.random() < 0.25:
            line["gift"] = True
            if self._rng.random() < 0.4:
                line["wrapping"] = "recycled"
        return line

    def _extras(self) -> dict[str, str]:
        """What only some customers say, and only some versions understand."""
        said = {}
        if self._rng.random() < 0.2:
            said["channel"] = "app"
        if self._rng.random() < 0.2:
            said["currency"] = self._rng.choice(("CHF", "USD"))
        return said

    def judge(self, ask: Ask, answer: Answer) -> str:
        """What is wrong with a complete answer; takes what it teaches (a session) as well."""
        if ask.endpoint == "POST /login":
            number = int(ask.user.removeprefix("user"))
            if not answer.session:
                return "signed in without a session"
            self._cookie[number] = f"shop_session={answer.session}"
            self._user_id[number] = int(answer.body["user_id"])
        if ask.long and not str(answer.body).endswith("end\n"):
            return "the report has no end"
        if ask.expected is not None:
            reference, total_cents = ask.expected
            if answer.body.get("total_cents") != total_cents:
                return "another total than acknowledged"
            if answer.body.get("reference") != reference:
                return "another reference than acknowledged"
        if ask.key and ask.body is not None and answer.body.get("reference") != ask.body["reference"]:
            return "another reference than sent"
        return ""

    def ended(self, ask: Ask) -> None:
        """The request is over, well or not; who could not sign in tries again later."""
        if ask.endpoint == "POST /login":
            self._signing_in.discard(int(ask.user.removeprefix("user")))

    def acknowledged(self, ask: Ask, answer: Answer, sent_at: float) -> Acknowledged:
        """The order the service said it had taken, remembered to be asked for again."""
        assert ask.body is not None
        told = answer.body
        order_id, total = str(told["id"]), int(told["total_cents"])
        self._orders[bool(ask.cookie)].append((ask.user, ask.cookie, order_id, (told["reference"], total)))
        number = int(ask.user.removeprefix("user")) if ask.cookie else -1
        return Acknowledged(
            key=ask.key,
            order_id=order_id,
            user_id=self._user_id.get(number),
            reference=told["reference"],
            total_cents=total,
            lines=tuple((line["product_id"], line["quantity"]) for line in ask.body["lines"]),
            sent_at=sent_at,
            version=answer.version,
            slot=answer.slot,
            channel=told.get("channel"),
            currency=told.get("currency"),
            gift=_of_lines(told["lines"], "gift"),
            wrapping=_of_lines(told["lines"], "wrapping"),
        )


def _of_lines(lines: list[dict[str, Any]], name: str) -> tuple[Any, ...] | None:
    return tuple(line[name] for line in lines) if name in lines[0] else None
