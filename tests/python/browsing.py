"""A real browser for the console: the one of the system, and what must never happen in it.

The browser is HALTLINE_TEST_CHROMIUM, or /usr/bin/chromium. The fixture `console` gives pages; each is checked when its
test is over. With HALTLINE_TEST_SCREENSHOTS set to a folder, pictures of each view are put there.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from conftest import REPOSITORY, Server, new_token

CHROMIUM = os.environ.get("HALTLINE_TEST_CHROMIUM") or "/usr/bin/chromium"
SCREENSHOTS = os.environ.get("HALTLINE_TEST_SCREENSHOTS")
SCENARIOS = REPOSITORY / "tests/scenarios"
WAIT_MS = 20_000

# A refused request is told in the page; the browser notes it in its own log as well.
EXPECTED_IN_LOG = re.compile(r"Failed to load resource")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"expected a Chromium at {CHROMIUM}: install it, or set HALTLINE_TEST_CHROMIUM")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


WATCH = """
window.__violations = [];
const note = (event) => __violations.push(`${event.violatedDirective} ${event.blockedURI}`);
addEventListener("securitypolicyviolation", note);
"""


class Console:
    """One page on one server. `problems` collects what must never happen in it."""

    def __init__(self, server: Server, page: Page):
        self.server, self.page = server, page
        self.problems: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.add_init_script(WATCH)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("console", self._logged)
        page.on("request", self._requested)

    def _dialog(self, dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _logged(self, message) -> None:
        if message.type in ("error", "warning") and not EXPECTED_IN_LOG.search(message.text):
            self.problems.append(f"log: {message.text}")

    def _requested(self, request) -> None:
        if not request.url.startswith((self.server.url + "/", "data:,")):
            self.problems.append(f"request to elsewhere: {request.url}")

    def open(self, place: str = "#/sessions") -> None:
        self.page.goto(f"{self.server.url}/{place}")

    def sign_in(self, token: str) -> None:
        self.page.locator("#token").fill(token)
        self.page.locator("#sign-in-send").click()

    def enter(self, token: str, place: str = "#/sessions") -> None:
        self.open(place)
        self.sign_in(token)
        expect(self.page.locator("#nav")).to_be_visible()

    def order(self, by: str, reason: str) -> None:
        self.page.locator("#order-by").fill(by)
        self.page.locator("#order-reason").fill(reason)
        self.page.locator("#order-send").click()
        expect(self.page.locator("#order")).not_to_be_visible()

    def row(self, session: str):
        return self.page.locator("#sessions > li", has=self.page.get_by_text(session, exact=True))

    def picture(self, name: str) -> None:
        """Keeps how it looks now, where somebody wants to know."""
        if SCREENSHOTS:
            self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")

    def check(self) -> None:
        """Nothing ran that is not the console's, and nothing was refused to it."""
        assert self.page.evaluate("window.__violations") == []
        assert self.page.evaluate("window.__xss === undefined")
        assert self.page.locator("main :is(img, script, iframe, object, embed, [onerror], [onload])").count() == 0
        assert self.problems == []


@pytest.fixture
def console(browser: Browser) -> Iterator[Callable[..., Console]]:
    """The factory of pages; each is checked when the test is over."""
    opened: list[Console] = []

    def new(server: Server, **options) -> Console:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        opened.append(Console(server, context.new_page()))
        return opened[-1]

    yield new
    for one in opened:
        one.check()
        one.page.context.close()


# ── servers ──


class Tokens:
    """Tokens of a server, by what they are for."""

    def __init__(self):
        made = {
            "admin": new_token("root", ["admin"]),
            "ops": new_token("ops", ["read", "halt"]),
            "reader": new_token("reader", ["read"]),
            "harness": new_token("harness", ["ingest", "gate"]),
            "acme": new_token("acme-ops", ["read", "halt"], "acme"),
        }
        self.settings = "".join(settings for _, settings in made.values())
        self.admin, self.ops, self.reader, self.harness, self.acme = (token for token, _ in made.values())


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


def scenario(name: str) -> list[dict]:
    text = (SCENARIOS / f"{name}.ndjson").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line]


def post(server: Server, token: str, events: list[dict]) -> None:
    answer = server.post_events(events, token)
    assert answer.status == 200 and answer.json["rejected_total"] == 0, answer


def calls(session: str, count: int, tenant: str = "acme") -> list[dict]:
    call = {"v": 1, "tenant": tenant, "session": session, "agent": {"id": "billing-bot"}, "kind": "tool_call"}
    tool = {"name": "lookup_order", "args": {"order": "A1"}}
    return [{**call, "id": f"{session}-{n}", "role": "assistant", "tool": tool} for n in range(count)]


def state_of(server: Server, tokens: Tokens, session: str, tenant: str) -> dict:
    return server.get(f"/v1/sessions/{quote(session, safe='')}?tenant={quote(tenant, safe='')}", tokens.admin).json


def to_session(session: str, tenant: str) -> str:
    return f"#/session/{quote(tenant, safe='')}/{quote(session, safe='')}"
