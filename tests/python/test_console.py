"""The console in a real browser against the real program: what an operator sees, and what an attacker cannot do to it.

See browsing.py for the browser and how to get pictures.
"""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from conftest import Server, write_rule

pytest.register_assert_rewrite("browsing")
pytest_plugins = ["browsing"]

from browsing import calls, post, scenario, state_of, to_session  # noqa: E402

PHRASE = "ultramarine heron at noon"
VIEWS = ["sessions", "findings", "confirmations", "rules", "webhooks", "audit", "health"]

HOSTILE = [
    '<img src=x onerror="window.__xss=1">',
    '"><script>window.__xss=2</script>',
    "<svg/onload=window.__xss=3>",
    "javascript:window.__xss=4",
    "' onmouseover='window.__xss=5",
    "{{constructor.constructor('window.__xss=6')()}}",
    "</textarea></title></style><iframe srcdoc='<script>parent.__xss=7</script>'>",
    "../../..?tenant=other#/audit",
    "\u202egpj.exe\u202c",
    "zero\u200b\u200bwidth",
    "tags\U000e0068\U000e0069",
    "e" + "\u0301" * 40,
    "W" * 240,
    "👩‍👩‍👧 שלום",
    "a\tb\nc",
]


# ── signing in ──


def test_a_wrong_token_is_refused_and_the_right_one_stays_in_its_tab(haltline, console, tokens):
    server = haltline(tokens.settings)
    one = console(server)
    one.open("#/rules")
    expect(one.page.locator("#sign-in")).to_be_visible()
    expect(one.page.locator("#nav")).not_to_be_visible()
    for wrong in ["hl_" + "x" * 43, "not a token", "hl_ü"]:
        one.sign_in(wrong)
        expect(one.page.locator("#sign-in-error")).to_contain_text(re.compile("not accepted|Expected a token"))
    one.sign_in(tokens.ops)
    expect(one.page.locator("#account-name")).to_have_text("ops")
    expect(one.page.locator("#rules-title")).to_be_visible()
    places = "[Object.values(sessionStorage), Object.values(localStorage), location.href, document.cookie]"
    kept = one.page.evaluate(places)
    assert kept[0] == [tokens.ops] and tokens.ops not in json.dumps(kept[1:]), kept
    one.page.reload()
    expect(one.page.locator("#account-name")).to_have_text("ops")
    one.page.locator("#account-open").click()
    one.page.locator("#sign-out").click()
    expect(one.page.locator("#sign-in")).to_be_visible()
    assert one.page.evaluate("sessionStorage.getItem('haltline.token')") is None
    one.page.reload()
    expect(one.page.locator("#sign-in")).to_be_visible()


def test_without_tokens_nobody_has_to_sign_in(haltline, console):
    server = haltline()
    one = console(server)
    one.open()
    expect(one.page.locator("#account-name")).to_have_text("no tokens set up")
    expect(one.page.locator("#sessions-none")).to_have_text("No session was seen yet.")
    expect(one.page.locator("#status")).to_have_text("Live")


# ── an attack ──


def test_an_attack_arrives_live_and_says_why(haltline, console, tokens):
    server = haltline(tokens.settings)
    one = console(server)
    one.enter(tokens.ops)
    expect(one.page.locator("#feed-state")).to_have_text("live")
    one.page.evaluate("window.__same = true")
    post(server, tokens.harness, scenario("injected/page-obeyed"))
    session, tenant = "page-obeyed-d296e9", "tidewell"
    expect(one.page.locator("#feed > li", has_text="injection-override").first).to_be_visible()
    expect(one.page.locator("#aloud")).to_contain_text(session)
    expect(one.page.locator("#news-list")).to_contain_text(session)
    expect(one.row(session).locator(".chip.halted")).to_be_visible()
    expect(one.page).to_have_title(re.compile(r"^\(1\) "))

    one.row(session).locator("a").click()
    expect(one.page).to_have_url(re.compile(re.escape(to_session(session, tenant))))
    expect(one.page.locator("#session-title")).to_be_focused()
    expect(one.page.locator("#session-halt .card.critical")).to_be_visible()
    card = one.page.locator("#timeline .card", has=one.page.get_by_text("injection-override", exact=True))
    expect(card.locator(".excerpt mark")).to_have_text("Ignore all previous instructions")
    expect(card.locator(".excerpt")).to_contain_text("Offers of the week")
    expect(card.locator(".tag").first).to_be_visible()
    halted = one.page.locator("#timeline .event.record")
    expect(halted).to_contain_text("Halted")
    assert one.page.evaluate("window.__same") is True, "the page was loaded anew"

    one.page.locator("#session-order").click()
    one.order("ana", "checked with the owner")
    expect(one.page.locator("#session-state")).to_have_text("running")
    expect(one.page.locator("#session-halt")).to_be_empty()
    expect(halted).to_contain_text("Resumed")
    now = state_of(server, tokens, session, tenant)
    assert (now["state"], now["record"]["by"], now["record"]["reason"]) == ("running", "ana", "checked with the owner")


def test_what_was_encoded_is_shown_with_how(haltline, console, tokens):
    server = haltline(tokens.settings)
    post(server, tokens.harness, scenario("injected/row-in-base64"))
    one = console(server)
    one.enter(tokens.ops, "#/findings?find=rule:injection-override")
    card = one.page.locator("#feed > li", has=one.page.get_by_text("injection-override", exact=True))
    expect(card.locator(".chain")).to_have_text("base64")
    card.locator("[data-open]").click()
    expect(one.page.locator("#timeline .because .reasons li").first).to_be_visible()


def test_an_operator_halts_by_keyboard(haltline, console, tokens):
    server = haltline(tokens.settings)
    post(server, tokens.harness, calls("s-1", 3) + calls("s/2 ä#?", 2))
    one = console(server)
    one.enter(tokens.admin)
    keys = one.page.keyboard
    expect(one.page.locator("#sessions > li")).to_have_count(2)
    keys.press("/")
    expect(one.page.locator("#sessions-q")).to_be_focused()
    keys.type("s/2 ä")
    expect(one.page.locator("#sessions > li")).to_have_count(1)
    keys.press("Escape")
    expect(one.row("s/2 ä#?").locator("a")).to_be_focused()
    keys.press("Enter")
    expect(one.page.locator("#session-state")).to_have_text("running")
    keys.press("h")
    expect(one.page.locator("#order-by")).to_be_focused()
    keys.type("bo")
    keys.press("Tab")
    keys.type("sends to strangers")
    keys.press("Control+Enter")
    expect(one.page.locator("#session-state")).to_have_text("halted")
    expect(one.page.locator("#session-halt")).to_contain_text("sends to strangers")
    now = state_of(server, tokens, "s/2 ä#?", "acme")
    assert (now["state"], now["halt"]["by"]) == ("halted", "bo")
    keys.press("Escape")
    expect(one.page).to_have_url(re.compile(r"#/sessions\?q="))
    expect(one.row("s/2 ä#?").locator("a")).to_be_focused()
    keys.press("6")
    expect(one.page.locator("#audit > tr", has_text="sends to strangers")).to_contain_text("bo")
    keys.press("?")
    expect(one.page.locator("#help")).to_be_visible()
    keys.press("Escape")
    expect(one.page.locator("#help")).not_to_be_visible()


# ── confirmations ──


@pytest.mark.parametrize(
    ("answer", "decision", "is_dry_run"),
    [("approve", "allow", False), ("dry_run", "allow", True), ("deny", "deny", False)],
)
def test_a_person_answers_what_waits(haltline, console, tokens, tmp_path, answer, decision, is_dry_run):
    server = haltline(tokens.settings, write_rule(tmp_path / "rules", "ask-first", "confirm", tool="close_account"))
    action = {"kind": "tool_call", "tool": "close_account", "args": {"account": "A1", "note": "<b>now</b>"}}
    question = {"session": "s-1", "tenant": "acme", "agent": "billing-bot", "action": action}
    one = console(server)
    one.enter(tokens.ops)
    expect(one.page.locator("#sessions-none")).to_be_visible()
    expect(one.page.locator("#pending")).not_to_be_visible()
    asked = server.post("/v1/gate", question, tokens.harness).json
    assert asked["decision"] == "confirm", asked

    card = one.page.locator("#pending-list > li")
    expect(card).to_contain_text("close_account")
    expect(card).to_contain_text("<b>now</b>")
    expect(card.locator(".rule")).to_have_text("ask-first")
    expect(card.locator(".countdown")).to_have_text(re.compile(r"^\d+:\d\d left$"))
    card.locator(f"[data-part={answer}]").click()
    expect(one.page.locator("#order-more")).to_contain_text("<b>now</b>")
    one.order("ana", "asked the owner")
    expect(one.page.locator("#pending")).not_to_be_visible()

    again = server.post("/v1/gate", {**question, "confirmation": asked["confirmation"]["id"]}, tokens.harness).json
    assert (again["decision"], again["dry_run"]) == (decision, is_dry_run), again
    one.open("#/confirmations")
    expect(one.page.locator("#confirmations > li")).to_contain_text("asked the owner")


# ── who may what ──


def test_a_reader_sees_and_cannot_act(haltline, console, tokens, tmp_path):
    server = haltline(tokens.settings, write_rule(tmp_path / "rules", "ask-first", "confirm", tool="close_account"))
    post(server, tokens.harness, calls("s-1", 2))
    server.post("/v1/gate", {"session": "s-1", "tenant": "acme", "action": {"tool": "close_account"}}, tokens.harness)
    one = console(server)
    one.enter(tokens.reader, to_session("s-1", "acme"))
    button = one.page.locator("#session-order")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(one.page.locator("#session-why")).to_contain_text("needs the scope “halt”")
    button.click(force=True)
    one.page.keyboard.press("h")
    answers = one.page.locator("#session-pending .answers button")
    expect(answers).to_have_count(3)
    for at in range(3):
        expect(answers.nth(at)).to_have_attribute("aria-disabled", "true")
        answers.nth(at).click(force=True)
    expect(one.page.locator("#order")).not_to_be_visible()
    assert state_of(server, tokens, "s-1", "acme")["state"] == "running"
    one.open("#/audit")
    expect(one.page.locator("#view-error")).to_contain_text("needs the scope “admin”")


def test_a_token_of_one_tenant_sees_that_one(haltline, console, tokens):
    server = haltline(tokens.settings)
    post(server, tokens.harness, calls("ours", 2) + calls("theirs", 2, "other"))
    one = console(server)
    one.enter(tokens.acme, "#/sessions?tenant=other")
    expect(one.page.locator("#tenant-bound")).to_have_text("tenant acme")
    expect(one.row("ours")).to_be_visible()
    expect(one.page.locator("#sessions > li")).to_have_count(1)
    one.open(to_session("theirs", "other"))
    expect(one.page.locator("#view-error")).to_contain_text("acme")
    expect(one.page.locator("#session-facts")).to_be_empty()
    one.open("#/health")
    expect(one.page.locator("#view-error")).to_contain_text("bound to acme")


# ── what agents write is shown, and does nothing ──


def hostile_rule(directory: Path) -> list[str]:
    quoted = json.dumps(HOSTILE[0] + HOSTILE[1] + HOSTILE[8])
    rule = f"""schema = 1
id = "says-heron"
title = {quoted}
description = {quoted}
severity = "high"
action = "halt"

[when]

[match]
phrases = ["{PHRASE}"]
"""
    directory.mkdir()
    (directory / "says-heron.toml").write_text(rule, encoding="utf-8")
    return ["--rules", "builtin", "--rules", str(directory)]


def hostile_event(text: str, kind: str) -> dict:
    args = {text: text, "list": [text], "said": f"{text} {PHRASE} {text}"}
    tool = {"name": text, "server": text, "call_id": text, "args": args, "result": args, "error": text}
    names = {"id": f"{kind} {text}", "tenant": text, "session": text, "agent": {"id": text, "parent": text}}
    said = {"role": text, "trust": text, "kind": kind, "text": f"{text} {PHRASE} {text}"}
    return {"v": 1, **names, **said, "tool": tool, "trace": {"trace_id": text, "span_id": text}, "labels": {text: text}}


def test_hostile_text_in_every_field_stays_text(haltline, console, tokens, tmp_path):
    hostile_rule(tmp_path / "rules")
    server = haltline(tokens.settings, write_rule(tmp_path / "rules", "ask-always", "confirm"))
    one = console(server)
    one.enter(tokens.admin)
    expect(one.page.locator("#feed-state")).to_have_text("live")
    for text in HOSTILE:
        kinds = ["message", "tool_call", "tool_result", "tool_list", "error", text]
        assert server.post_events([hostile_event(text, kind) for kind in kinds], tokens.harness).status == 200
        action = {"tool": text, "server": text, "args": {text: text}}
        question = {"session": "asks", "tenant": "asks", "agent": text, "action": action}
        asked = server.post("/v1/gate", question, tokens.harness)
        assert asked.json["decision"] == "confirm", asked
        path = f"/v1/sessions/{quote('by hand ' + text, safe='')}/halt?tenant={quote(text, safe='')}"
        assert server.post(path, {"by": f"x {text}", "reason": text}, tokens.admin).status == 200
    expect(one.page.locator("#feed > li").first).to_be_visible()
    expect(one.page.locator("#pending-count")).to_have_text(str(len(HOSTILE)))
    sessions = server.wait_until(lambda: all_halted(server, tokens), "a session of each text to be halted by the rule")
    one.check()
    for view in VIEWS:
        one.open(f"#/{view}")
        expect(one.page.locator(f".view:not([hidden]) :is(h2, dl)").first).to_be_visible()
        expect(one.page.locator("#status")).to_have_text("Live")
        one.check()
    for tenant, session in sessions:
        one.open(to_session(session, tenant))
        expect(one.page.locator("#session-state")).to_have_text("halted")
        expect(one.page.locator("#timeline > li").first).to_be_visible()
        one.page.locator("#session-title .name").hover()
        one.check()


def all_halted(server: Server, tokens) -> list[tuple[str, str]]:
    listed = server.get("/v1/halts?limit=500", tokens.admin).json["halts"]
    by_rule = [(halt["tenant"], halt["session"]) for halt in listed if halt.get("rule")]
    return [(halt["tenant"], halt["session"]) for halt in listed] if len(by_rule) == len(HOSTILE) else []


# what came, what is shown of it
SHOWN = [
    ("plain words", "plain words"),
    ("\u202egpj.exe\u202c", "⟨U+202E⟩gpj.exe⟨U+202C⟩"),
    ("a\u200b\u200b\u200bb", "a⟨U+200B ×3⟩b"),
    ("nul\x00 and escape\x1b", "nul⟨U+0000⟩ and escape⟨U+001B⟩"),
    ("x\U000e0068\U000e0069", "x⟨tags “hi”⟩"),
    ("one\ntwo", "one⏎two"),
    ("soft\u00adhyphen\ufeff", "soft⟨U+00AD⟩hyphen⟨U+FEFF⟩"),
    ("e" + "\u0301" * 40, "e\u0301\u0301\u0301⟨+37 accents⟩"),
    ("a" + " " * 40 + "b", "a⟨40 blanks⟩b"),
    ("👩‍👩‍👧 ❤️", "👩‍👩‍👧 ❤️"),
    ("नमस्ते שלום", "नमस्ते שלום"),
    ("x" * 310, "x" * 300 + "… (+10 characters)"),
]


def test_what_would_be_hidden_is_shown(haltline, console):
    one = console(haltline())
    one.open()
    script = "async (texts) => { const { plain } = await import('/assets/text.js'); return texts.map((t) => plain(t)); }"
    shown = one.page.evaluate(script, [came for came, _ in SHOWN])
    assert dict(zip((came for came, _ in SHOWN), shown)) == dict(SHOWN)


# excerpt, mark, the marked piece; places count characters, whatever they are made of
MARKED = [
    ("please ignore all rules", [7, 13], "ignore"),
    ("👩‍👩‍👧 ignore", [6, 12], "ignore"),
    ("ab\u202ecd", [1, 4], "b⟨U+202E⟩c"),
    ("<b>x</b>", [0, 3], "<b>"),
    ("short", [3, 9], None),
    ("short", [2, 2], None),
    ("short", None, None),
]


def test_a_mark_counts_characters(haltline, console):
    one = console(haltline())
    one.open()
    script = """async (rows) => {
      const { markedNodes } = await import('/assets/text.js');
      return rows.map(([excerpt, mark]) => {
        const box = document.createElement('code');
        box.append(...markedNodes(excerpt, mark));
        return box.querySelector('mark')?.textContent ?? null;
      });
    }"""
    marked = one.page.evaluate(script, [[excerpt, mark] for excerpt, mark, _ in MARKED])
    assert marked == [expected for _, _, expected in MARKED]


# ── the connection ──


def test_the_page_says_that_it_is_old_and_comes_back(haltline, console, tokens):
    server = haltline(tokens.settings)
    post(server, tokens.harness, calls("s-1", 2))
    one = console(server)
    one.enter(tokens.ops)
    expect(one.row("s-1")).to_be_visible()
    server.kill()
    expect(one.page.locator("#banner")).to_contain_text("No answer from Haltline")
    expect(one.page.locator("#banner")).to_contain_text("What is shown is as of")
    expect(one.row("s-1")).to_be_visible()
    server.start()
    expect(one.page.locator("#banner")).not_to_be_visible(timeout=60_000)
    expect(one.page.locator("#feed-state")).to_have_text("live", timeout=60_000)
    post(server, tokens.harness, scenario("injected/page-obeyed"))
    expect(one.page.locator("#feed > li").first).to_be_visible()


# chunks as they come, the events that were read
STREAMED = [
    (["id: 7\nevent: halt\ndata: {}\n\n"], [["7", "halt", "{}"]]),
    (["id: 7\nev", "ent: halt\nda", "ta: {}\n", "\n"], [["7", "halt", "{}"]]),
    (["data: a\r", "\ndata: b\r\n\r", "\n"], [[None, "message", "a\nb"]]),
    ([": still here\n\n", "event: gap\n\n", "data\n\n"], [[None, "message", ""]]),
    (["id: 1\ndata: x\n\ndata: y\n\n", "data: never ended"], [["1", "message", "x"], [None, "message", "y"]]),
]


def test_a_stream_is_read_however_it_is_cut(haltline, console):
    one = console(haltline())
    one.open()
    script = """async (rows) => {
      const { readEvents } = await import('/assets/api.js');
      const read = async (chunks) => {
        const events = [];
        const bytes = chunks.map((chunk) => new TextEncoder().encode(chunk));
        const body = new ReadableStream({ start(to) { bytes.forEach((one) => to.enqueue(one)); to.close(); } });
        await readEvents(body, () => {}, ({ id, event, data }) => events.push([id ?? null, event, data]));
        return events;
      };
      return Promise.all(rows.map(read));
    }"""
    assert one.page.evaluate(script, [chunks for chunks, _ in STREAMED]) == [expected for _, expected in STREAMED]


# bounds and counts at two looks, the share asked for, what lies below it
QUANTILES = [
    ([[1, 0], [2, 0]], [[1, 10], [2, 10]], 0.5, 0.5),
    ([[1, 0], [2, 0]], [[1, 10], [2, 20]], 0.75, 1.5),
    ([[1, 5], [2, 5]], [[1, 5], [2, 6]], 0.99, 1.99),
    ([[1, 5], [2, 9]], [[1, 5], [2, 9]], 0.5, None),
    ([[1, 50], [2, 90]], [[1, 10], [2, 10]], 0.5, 0.5),
]


def test_latencies_are_those_of_the_last_half_minute(haltline, console):
    one = console(haltline())
    one.open()
    script = """async (rows) => {
      const { latency, samples } = await import('/assets/metrics.js');
      const buckets = (pairs) => pairs.map(([le, value]) => ({ le, value }));
      const found = rows.map(([before, now, share]) => {
        samples.splice(0, Infinity, { at: 0, event: buckets(before) }, { at: 5000, event: buckets(now) });
        return latency('event', share).at(-1).value;
      });
      samples.length = 0;
      return found;
    }"""
    found = one.page.evaluate(script, [row[:3] for row in QUANTILES])
    assert found == [None if value is None else pytest.approx(value) for *_, value in QUANTILES]


def test_findings_can_be_paused_and_filtered(haltline, console, tokens):
    server = haltline(tokens.settings)
    one = console(server)
    one.enter(tokens.ops, "#/findings")
    expect(one.page.locator("#feed-state")).to_have_text("live")
    one.page.keyboard.press("p")
    expect(one.page.locator("#feed-state")).to_have_text("paused")
    post(server, tokens.harness, scenario("injected/page-obeyed"))
    expect(one.page.locator("#feed-pause")).to_have_text(re.compile(r"Show \d+ new"))
    expect(one.page.locator("#feed > li")).to_have_count(0)
    one.page.locator("#feed-pause").click()
    expect(one.page.locator("#feed > li").first).to_be_visible()
    one.page.locator("#feed-action").select_option("halt")
    expect(one.page.locator("#feed .chip.flag")).to_have_count(0)
    expect(one.page.locator("#feed .chip.halt").first).to_be_visible()
    one.page.locator("#feed-action").select_option("all")
    one.page.locator("#feed-q").fill("rule:injection-hidden-text")
    expect(one.page.locator("#feed > li")).to_have_count(1)
    assert "find=rule%3Ainjection-hidden-text" in one.page.url, "what is looked for is in the address"
    one.open("#/rules?q=injection-hidden-text")
    expect(one.page.locator("#rules > tr td.num").first).to_have_text("1")


# ── looks ──


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 900, 1440])
def test_no_view_is_wider_than_the_screen(haltline, console, tokens, tmp_path, width, theme):
    server = haltline(tokens.settings, hostile_rule(tmp_path / "hostile"))
    post(server, tokens.harness, scenario("injected/page-obeyed") + calls("s-1", 12))
    for text in ["W" * 240, HOSTILE[0]]:
        server.post_events([hostile_event(text, "tool_call")], tokens.harness)
    server.wait_until(lambda: server.get("/v1/halts", tokens.admin).json["total"] == 3, "three sessions to be halted")
    one = console(server, viewport={"width": width, "height": 760}, color_scheme=theme)
    one.enter(tokens.admin)
    sessions = [to_session("page-obeyed-d296e9", "tidewell"), to_session("W" * 240, "W" * 240)]
    for number, place in enumerate([f"#/{view}" for view in VIEWS] + sessions):
        one.open(place)
        expect(one.page.locator("#status")).to_have_text("Live")
        if "session/" in place:
            expect(one.page.locator("#timeline > li").first).to_be_visible()
        expect(one.page.get_by_text("Loading…", exact=True).filter(visible=True)).to_have_count(0)
        one.picture(f"{number}-{re.sub('[^a-z]+', '-', place[2:30])}-{width}-{theme}")
        wide = one.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, f"{place} is {wide} pixels too wide at {width}"


def test_the_look_is_the_systems_unless_it_was_chosen(haltline, console):
    one = console(haltline(), color_scheme="dark")
    one.open()
    ground = "getComputedStyle(document.body).backgroundColor"
    expect(one.page.locator("#account-open")).to_be_visible()
    dark = one.page.evaluate(ground)
    one.page.locator("#account-open").click()
    one.page.get_by_label("Light", exact=True).check()
    light = one.page.evaluate(ground)
    assert light != dark
    one.page.reload()
    expect(one.page.locator("#account-open")).to_be_visible()
    assert one.page.evaluate(ground) == light
