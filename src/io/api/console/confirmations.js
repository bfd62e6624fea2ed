// Actions that wait for a person: on top of every view while there are any, and all of them in a list.

import { get, path, post, whyNot } from "./api.js";
import { add, byId, button, el, emptyNote, guarded, link, name, plural, put, rows, serverNow, severityChip, timeAgo, timeAt } from "./dom.js";
import { askOrder } from "./dialogs.js";
import { bindQuery, hrefTo, route, sessionHref, tenantWanted } from "./route.js";
import { openSession } from "./session.js";
import { nodesOf, plain } from "./text.js";

const LIMIT = 100;
const ON_TOP = 3;
const URGENT_MS = 60_000;
const ARGUMENTS_MAX = 1 << 20;
// More than is seen without scrolling.
const LONG = 1500;

const ANSWERS = [
  { answer: "approve", label: "Approve…", title: "Approve", what: "The action is carried out once, exactly as it is shown here." },
  { answer: "dry_run", label: "Dry run…", title: "Dry run of", what: "The harness may carry it out as a dry run only, without effect." },
  { answer: "deny", label: "Deny…", title: "Deny", what: "The action is refused; the session may go on otherwise." },
];
const STATES = { pending: "waiting", approved: "approved", denied: "denied", dry_run: "dry run", expired: "expired", used: "approved and carried out" };

let pending = [];
let onChange = () => {};
let said = new Set();
let readState = () => {};

// ── one action ──

function answerButton(one, { answer, label, title, what }) {
  const made = button(label, "", () =>
    askOrder({
      title: `${title} ${plain(one.action?.tool ?? one.action?.kind ?? "the action", 60)}`,
      what: `${what} Session ${plain(one.session, 80)}, tenant ${plain(one.tenant, 80)}.`,
      more: [argumentsOf(one)],
      label: label.replace("…", ""),
      send: async (order) => {
        try {
          await post(path("/v1/confirmations/{}", [one.id]), { answer, ...order });
          put(byId("aloud-softly"), `Answered: ${answer.replace("_", " ")}`);
        } finally {
          onChange();
        }
      },
    }),
  );
  made.dataset.part = answer;
  return guarded(made, whyNot("halt"));
}

function argumentsOf(one) {
  const action = one.action ?? {};
  const shown = action.args ?? action.text;
  const box = el("pre", "excerpt");
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `arguments of ${plain(action.tool ?? "the action", 80)}`);
  const text = shown === undefined || shown === null ? "no arguments" : typeof shown === "string" ? shown : JSON.stringify(shown, null, 2);
  // Who approves must be able to see all of it: what is dangerous may stand at the very end.
  box.append(...nodesOf(text, { block: true, max: ARGUMENTS_MAX }));
  if (text.length < LONG) return box;
  return add(el("div"), el("p", "warned", `${text.length.toLocaleString()} characters: read them to the end`), box);
}

function countdown(one) {
  const made = el("span", "countdown");
  made.dataset.expires = one.expires;
  made.setAttribute("role", "timer");
  showCountdown(made);
  return made;
}

function showCountdown(made) {
  const left = Date.parse(made.dataset.expires) - serverNow();
  const seconds = Math.max(0, Math.ceil(left / 1000));
  const text = Number.isNaN(left) ? "" : left <= 0 ? "expired" : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
  if (made.textContent !== text) made.textContent = text;
  made.classList.toggle("urgent", left < URGENT_MS);
}

export function tickConfirmations() {
  for (const made of document.querySelectorAll("[data-expires]")) showCountdown(made);
}

function answeredLine(one) {
  const line = el("p", "where");
  add(line, el("strong", "", STATES[one.state] ?? one.state));
  if (one.by) line.append(name("", `by ${one.by}`));
  if (one.answered) line.append(timeAt(one.answered));
  if (one.answer_reason) add(line, add(el("span", "reason"), one.answer_reason));
  return line;
}

function card(one, { here = false } = {}) {
  const open = one.state === "pending";
  const made = el("li", `card ${open ? "confirm" : "done"}`);
  made.dataset.row = "";
  made.tabIndex = -1;
  const head = el("div", "head");
  const action = one.action ?? {};
  const tool = add(el("h3", "title"), name("mono", action.tool ?? action.kind ?? "an action"));
  if (action.server) add(tool, el("span", "soft", " on "), name("mono soft", action.server));
  head.append(severityChip(one.severity), tool, open ? countdown(one) : timeAgo(one.created));
  const where = el("p", "where");
  if (!here) {
    const session = link(sessionHref(one.tenant, one.session), "", name("mono", one.session));
    session.dataset.open = "";
    session.dataset.part = "open";
    where.append(session, name("", one.tenant));
  }
  if (one.agent) where.append(name("", one.agent));
  if (one.rule) {
    const rule = link(hrefTo("rules", [], { q: one.rule }), "rule", name("mono", one.rule));
    rule.dataset.part = "rule";
    where.append(rule);
  }
  const why = add(el("p", "summary"), [one.title, one.reason].filter(Boolean).join(": "));
  why.dir = "auto";
  made.append(head, where, why, argumentsOf(one));
  if (open) {
    made.append(add(el("p", "answers"), ANSWERS.map((answer) => answerButton(one, answer))));
    if (whyNot("halt")) made.append(add(el("p", "soft"), `Answering ${whyNot("halt")}.`));
  } else {
    made.append(answeredLine(one));
  }
  return made;
}

// ── on top ──

const textOf = (one) => `${JSON.stringify(one)} ${tenantWanted()} ${whyNot("halt")}`;
const byExpiry = (a, b) => (a.expires < b.expires ? -1 : 1);

export async function refreshPending() {
  const answer = await get(path("/v1/confirmations", [], { state: "pending", tenant: tenantWanted(), limit: LIMIT }));
  pending = (answer.confirmations ?? []).filter((one) => one.state === "pending").sort(byExpiry);
  showPending();
}

export function showPending() {
  const box = byId("pending");
  const whole = route.view === "sessions";
  box.hidden = pending.length === 0 || route.view === "confirmations";
  put(byId("pending-count"), String(pending.length));
  put(byId("nav-pending"), String(pending.length));
  byId("nav-pending").hidden = pending.length === 0;
  rows(byId("pending-list"), whole ? pending.slice(0, ON_TOP) : [], (one) => one.id, (one) => card(one), textOf);
  const more = byId("pending-more");
  const left = pending.length - (whole ? ON_TOP : 0);
  more.hidden = left <= 0 || pending.length === 0;
  if (!more.hidden) {
    const next = whole ? null : add(el("span"), "the next expires in ", countdown(pending[0]), ". ");
    more.replaceChildren(...[next, link(hrefTo("confirmations"), "", whole ? `and ${plural(left, "more", "more")}` : "Show them")].filter(Boolean));
  }
  const own = openSession();
  const list = document.getElementById("session-pending");
  if (own && list) {
    const mine = pending.filter((one) => one.tenant === own[0] && one.session === own[1]);
    rows(list, mine, (one) => one.id, (one) => card(one, { here: true }), textOf);
  }
  sayNew();
}

function sayNew() {
  const fresh = pending.filter((one) => !said.has(one.id));
  said = new Set(pending.map((one) => one.id));
  if (fresh.length === 0) return;
  const first = plain(fresh[0].action?.tool ?? "an action", 60);
  put(byId("aloud-softly"), fresh.length > 1 ? `${fresh.length} actions wait for a person` : `${first} waits for a person`);
}

// ── the list of all ──

export async function refreshConfirmations() {
  const state = byId("confirmations-state").value;
  const answer = await get(path("/v1/confirmations", [], { state, tenant: tenantWanted(), limit: LIMIT }));
  const all = answer.confirmations ?? [];
  const waiting = all.filter((one) => one.state === "pending").sort(byExpiry);
  const rest = all.filter((one) => one.state !== "pending").sort((a, b) => (a.created < b.created ? 1 : -1));
  rows(byId("confirmations"), [...waiting, ...rest], (one) => one.id, (one) => card(one), textOf);
  const none = state === "pending" ? "Nothing waits for a person." : "No action was held back for a person yet.";
  emptyNote(byId("confirmations-none"), all.length > 0 ? (all.length >= LIMIT ? `The latest ${LIMIT} are shown.` : "") : none);
}

export function enterConfirmations() {
  readState();
}

export function setUpConfirmations(changed) {
  onChange = changed;
  readState = bindQuery("confirmations-state", "state", "all", changed);
}

export function forgetConfirmations() {
  pending = [];
  said = new Set();
  showPending();
  byId("confirmations").replaceChildren();
}
