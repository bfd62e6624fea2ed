// One session: why it is halted, what it did and what was found, in one timeline, and the orders.

import { Refused, get, path, post, whyNot } from "./api.js";
import { add, byId, button, count, el, guarded, link, name, plural, put, rows, score, stateChip, timeAgo, timeAt } from "./dom.js";
import { findingCard, originOf } from "./findings.js";
import { askOrder } from "./dialogs.js";
import { hrefTo, route } from "./route.js";
import { plain } from "./text.js";

// So many events without a finding in a row are shown as they are; more are folded.
const RUN_MAX = 3;
const FINDINGS_LIMIT = 200;

let shown = null;
let newestFirst = true;
let onlyFindings = false;
let onChange = () => {};

const keyOf = ([tenant, session]) => JSON.stringify([tenant, session]);

// ── the frame ──

function frame(names, backTo) {
  const pane = byId("session-pane");
  const back = link(backTo, "back", "‹ Back");
  back.id = "session-back";
  const title = add(el("h2", "session-name"), name("mono whole", names[1]));
  title.id = "session-title";
  title.tabIndex = -1;
  const head = add(el("div", "session-head"), back, title, part("session-state", "span"), part("session-orders", "span"));
  const timeline = el("ol", "timeline");
  Object.assign(timeline, { id: "timeline" });
  timeline.dataset.rows = "";
  timeline.dataset.heading = "timeline-title";
  const bar = el("div", "bar");
  const heading = el("h3", "", "Timeline");
  Object.assign(heading, { id: "timeline-title", tabIndex: -1 });
  bar.append(heading, part("timeline-note", "p", "soft"), ...switches());
  const parts = [part("session-why", "p", "soft"), part("session-error", "p", "banner warn"), part("session-halt", "div"), part("session-facts", "dl", "facts"), part("session-pending", "ul", "cards")];
  pane.replaceChildren(head, ...parts, bar, timeline, part("timeline-none", "p", "none"));
  byId("session-error").hidden = true;
  byId("session-error").setAttribute("role", "alert");
  put(byId("timeline-none"), "Loading…");
}

function part(id, tag, className = "") {
  const made = el(tag, className);
  made.id = id;
  return made;
}

function switches() {
  const only = el("label", "check");
  const box = el("input");
  Object.assign(box, { type: "checkbox", id: "timeline-only", checked: onlyFindings });
  box.addEventListener("change", () => {
    onlyFindings = box.checked;
    show();
  });
  only.append(box, " findings only");
  const order = button(newestFirst ? "Newest first" : "Oldest first", "", () => {
    newestFirst = !newestFirst;
    order.textContent = newestFirst ? "Newest first" : "Oldest first";
    show();
  });
  order.id = "timeline-order";
  order.title = "turn the order round";
  return [only, order];
}

// ── orders ──

export function orderSession() {
  if (!shown?.body) return;
  const [tenant, session] = shown.names;
  const halted = shown.body.state === "halted";
  const why = whyNot("halt");
  if (why) return put(byId("aloud-softly"), `Not possible: ${why}`);
  const what = halted ? "resume" : "halt";
  askOrder({
    title: `${halted ? "Resume" : "Halt"} ${plain(session, 80)}`,
    what: halted
      ? `Tenant ${plain(tenant, 80)}. It may act again at once; what was seen so far halts it no more.`
      : `Tenant ${plain(tenant, 80)}. The gate denies everything it asks for until somebody resumes it.`,
    label: halted ? "Resume" : "Halt",
    danger: !halted,
    async send(order) {
      const answer = await post(path(`/v1/sessions/{}/${what}`, [session], { tenant }), order);
      const said = answer.changed ? `${halted ? "Resumed" : "Halted"} ${plain(session, 80)}` : `It was ${answer.state} already`;
      put(byId("aloud-softly"), said);
      onChange();
    },
  });
}

function orderButton(body) {
  const halted = body.state === "halted";
  const made = button(halted ? "Resume…" : "Halt…", halted ? "primary" : "danger", orderSession);
  made.id = "session-order";
  return guarded(made, whyNot("halt"));
}

function copyButton() {
  const made = button("Copy link", "quiet", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      made.textContent = "Copied";
    } catch {
      made.textContent = "Copy the address above";
    }
    setTimeout(() => (made.textContent = "Copy link"), 2000);
  });
  return made;
}

// ── what is known of it ──

function haltBox(body) {
  const halt = body.halt;
  if (!halt) return [];
  const line = el("p", "head");
  line.append(el("strong", "alarm", "Halted"), timeAgo(halt.since), el("span", "", "by"));
  if (halt.rule) line.append(link(hrefTo("findings", [], { find: `rule:${halt.rule}`, action: "all" }), "rule", name("mono", halt.rule)));
  else line.append(name("", halt.by));
  const facts = el("p", "facts-line");
  const origin = originOf(halt.origin);
  for (const [label, value] of [["epoch", halt.epoch], ["event", halt.event_id], ["at", origin], ["halt", halt.id]]) {
    if (value !== undefined && value !== null) facts.append(add(el("span", "fact"), el("span", "label", label), name("mono", value)));
  }
  const box = add(el("div", "halt-box"), line);
  const cause = body.findings.find((one) => one.id === halt.finding);
  if (cause) {
    const card = findingCard(cause, { full: true, level: "h3" });
    card.removeAttribute("data-row");
    box.append(add(el("ul", "cards"), card));
  } else {
    const reason = add(el("p", "reason"), halt.reason);
    reason.dir = "auto";
    box.append(reason);
  }
  return [add(box, facts)];
}

function factsOf(body) {
  const activity = body.activity;
  const facts = [["Tenant", name("", body.tenant)]];
  if (activity) {
    facts.push(
      ["Agent", activity.agent ? name("", activity.agent) : "–"],
      ["Risk score", el("span", "", score(activity.score))],
      ["Events", plural(activity.events, "event")],
      ["Findings", count(activity.findings_total)],
      ["First seen", activity.first_seen ? timeAt(activity.first_seen) : "–"],
      ["Last seen", activity.last_seen ? timeAgo(activity.last_seen) : "–"],
    );
    if (activity.malformed > 0) facts.push(["Malformed", el("span", "warned", count(activity.malformed))]);
    if (activity.events_after_halt > 0) {
      const note = el("span", "alarm", `${count(activity.events_after_halt)}: its harness does not heed the halt`);
      facts.push(["Events after the halt", note]);
    }
  }
  return facts.map(([label, value]) => {
    const pair = el("div", label === "Events after the halt" ? "broad" : "");
    pair.append(el("dt", "", label), add(el("dd"), label === "Events" && activity ? count(activity.events) : value));
    return pair;
  });
}

// ── the timeline ──

// The entry of the event that a finding is about. Ids of events are agents' words and may be missing or there
// twice, so the place in the log comes first; a record of which several events were read has one place for all.
function entryFor(found, entries) {
  const there = entries.get(originOf(found.origin)) ?? [];
  const has = (entry) => entry.event.event_id === found.event_id;
  const may = (entry) => (entry.event.event_id ?? found.event_id) === found.event_id;
  return there.find(has) ?? there.find((entry) => may(entry) && entry.event.tool === found.tool) ?? there.find(may);
}

// Everything in order of time, each finding with its event: [{at, event, findings, record}].
function entriesOf(body) {
  const entries = [];
  const byPlace = new Map();
  const enter = (event, more) => {
    const place = originOf(event.origin);
    if (!byPlace.has(place)) byPlace.set(place, []);
    const there = byPlace.get(place);
    const entry = { key: `e ${place} ${there.length}`, at: event.ts, order: entries.length, event, findings: [], ...more };
    there.push(entry);
    entries.push(entry);
    return entry;
  };
  for (const event of body.trail ?? []) enter(event);
  for (const found of [...body.findings].reverse()) {
    const { ts, tool, event_id, origin } = found;
    const entry = entryFor(found, byPlace) ?? enter({ ts, tool, event_id, origin }, { isOld: true });
    entry.event = { event_id, ...entry.event };
    entry.findings.push(found);
  }
  if (body.record) entries.push(recordEntry(body.record, entries));
  return entries.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.order - b.order));
}

// A halt by a rule stands right after the event that tripped it.
function recordEntry(record, entries) {
  const cause = entries.find((entry) => entry.findings.some((found) => found.id === record.finding));
  const order = cause ? cause.order + 0.5 : entries.length;
  return { key: `r ${record.id}`, at: cause?.at ?? record.at, order, record, findings: [] };
}

// Long runs of events in which nothing was found become one folded entry.
function folded(entries) {
  const out = [];
  let run = [];
  const close = () => {
    if (run.length > RUN_MAX) out.push({ key: `run ${run[0].key}`, at: run[0].at, run, findings: [] });
    else out.push(...run);
    run = [];
  };
  for (const entry of entries) {
    if (entry.event && entry.findings.length === 0) {
      run.push(entry);
    } else {
      close();
      out.push(entry);
    }
  }
  close();
  return out;
}

function eventLine(event) {
  const line = el("p", "event");
  line.append(timeAt(event.ts), el("span", "kind", [event.role, event.kind].filter(Boolean).join(" ").replaceAll("_", " ")));
  if (event.tool) line.append(name("mono", event.tool));
  if (event.event_id) line.append(name("mono id", event.event_id));
  const origin = originOf(event.origin);
  if (origin) line.append(name("mono id", origin));
  return line;
}

function recordLine(record) {
  const line = el("p", "event record");
  const halted = record.state === "halted";
  line.append(timeAt(record.at), el("strong", halted ? "alarm" : "good", halted ? "Halted" : "Resumed"));
  line.append(name("", record.by === "rule" ? `by rule ${record.rule}` : `by ${record.by}`));
  const reason = add(el("span", "reason"), record.reason);
  reason.dir = "auto";
  return add(line, reason);
}

function runOf(entry) {
  const counts = new Map();
  for (const { event } of entry.run) counts.set(event.kind, (counts.get(event.kind) ?? 0) + 1);
  const kinds = [...counts].map(([kind, n]) => `${kind.replaceAll("_", " ")} ${count(n)}`).join(", ");
  const fold = el("details", "run");
  fold.dataset.part = "run";
  const summary = el("summary", "event");
  summary.append(timeAt(entry.run[0].at), el("span", "kind", `${count(entry.run.length)} events without a finding`), el("span", "soft", kinds));
  const lines = el("ol", "run-lines");
  const inOrder = newestFirst ? [...entry.run].reverse() : entry.run;
  for (const one of inOrder) lines.append(add(el("li"), eventLine(one.event)));
  fold.append(summary, lines);
  return fold;
}

function entryRow(entry) {
  const item = el("li", entry.findings.length > 0 ? "entry found" : "entry");
  if (entry.run) item.append(runOf(entry));
  else if (entry.record) item.append(recordLine(entry.record));
  else item.append(eventLine(entry.isOld ? { ...entry.event, kind: "earlier event" } : entry.event));
  if (entry.findings.length > 0) {
    const cards = el("ul", "cards");
    for (const found of entry.findings) cards.append(findingCard(found, { full: true }));
    item.append(cards);
  } else {
    item.dataset.row = "";
    item.tabIndex = -1;
  }
  return item;
}

function showTimeline(body) {
  const all = entriesOf(body);
  const kept = onlyFindings ? all.filter((entry) => entry.findings.length > 0 || entry.record) : all;
  const entries = folded(kept);
  if (newestFirst) entries.reverse();
  rows(byId("timeline"), entries, (entry) => entry.key, entryRow, (entry) => `${JSON.stringify(entry)} ${newestFirst}`);
  put(byId("timeline-note"), `${plural(body.trail?.length ?? 0, "latest event")}, ${plural(body.findings.length, "finding")}`);
  put(byId("timeline-none"), entries.length > 0 ? "" : onlyFindings ? "Nothing was found." : "This process has seen no event of it.");
}

// ── asking and showing ──

function show() {
  const body = shown?.body;
  if (!body) return;
  byId("session-state").replaceChildren(stateChip(body.state));
  const orders = byId("session-orders");
  const state = `${body.state} ${whyNot("halt")}`;
  if (orders.dataset.shown !== state) {
    const held = orders.contains(document.activeElement);
    orders.dataset.shown = state;
    orders.replaceChildren(copyButton(), orderButton(body));
    const why = whyNot("halt");
    put(byId("session-why"), why ? `${body.state === "halted" ? "Resuming" : "Halting"} ${why}.` : "");
    if (held) byId("session-order").focus();
  }
  const halt = JSON.stringify([body.halt, body.findings.find((one) => one.id === body.halt?.finding)]);
  if (byId("session-halt").dataset.shown !== halt) {
    byId("session-halt").dataset.shown = halt;
    byId("session-halt").replaceChildren(...haltBox(body));
  }
  byId("session-facts").replaceChildren(...factsOf(body));
  showTimeline(body);
}

// All findings of the session, where the list of its latest is not all.
async function allFindings([tenant, session], body) {
  const listed = body.findings ?? [];
  if ((body.activity?.findings_total ?? 0) <= listed.length) return listed;
  const answer = await get(path("/v1/findings", [], { tenant, session, limit: FINDINGS_LIMIT })).catch(() => null);
  const known = new Set(listed.map((one) => one.id));
  const more = (answer?.findings ?? []).filter((one) => !known.has(one.id));
  return [...listed, ...more].sort((a, b) => (a.ts < b.ts ? 1 : a.ts > b.ts ? -1 : 0));
}

export async function refreshSession() {
  const asked = shown;
  if (!asked) return;
  let body;
  let error = "";
  try {
    const [tenant, session] = asked.names;
    body = await get(path("/v1/sessions/{}", [session], { tenant }));
  } catch (failed) {
    if (!(failed instanceof Refused && failed.status === 404)) {
      if (shown === asked && !asked.body) put(byId("timeline-none"), failed.message);
      throw failed;
    }
    body = failed.body ?? {};
    error = "Nothing is known of this session: it was not seen by this process, or it was forgotten. It can be halted all the same.";
  }
  body = { ...body, tenant: asked.names[0], state: body.state ?? "unknown" };
  body.findings = await allFindings(asked.names, body);
  if (shown !== asked) return;
  asked.body = body;
  put(byId("session-error"), error);
  byId("session-error").hidden = error === "";
  show();
}

// Opens the session of the address; true when it is another one than before.
export function enterSession(changed, backTo) {
  onChange = changed;
  if (shown && keyOf(shown.names) === keyOf(route.names)) return false;
  shown = { names: [...route.names], body: null };
  frame(shown.names, backTo);
  return true;
}

export function leaveSession() {
  shown = null;
}

export const openSession = () => shown?.names ?? null;
