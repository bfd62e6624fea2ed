// What happens, as it happens: the streams of findings and halts, and who must be told aloud.

import { follow, get, path, whyNot } from "./api.js";
import { byId, el, link, name, put, rows, serverNow, timeAt } from "./dom.js";
import { sessionHref, tenantWanted } from "./route.js";
import { plain } from "./text.js";

const KEPT = 1000;
const LISTED = 200;
const NEWS_MS = 120_000;
const NEWS_SHOWN = 3;

// The newest findings first, each once.
export const findings = { list: [], loaded: false, state: "waiting", note: "", gap: "" };
const seen = new Set();
// Those that came while one was looking.
export const fresh = new WeakSet();
const listeners = new Set();
export const onLive = (listener) => listeners.add(listener);

// A burst of events is one change of the page.
let planned = null;
function changed(what) {
  if (planned) return planned.add(what);
  planned = new Set([what]);
  setTimeout(() => {
    const all = planned;
    planned = null;
    for (const listener of listeners) listener(all);
  }, 100);
}

function keep(found) {
  const unknown = found.filter((one) => one && typeof one.id === "string" && !seen.has(one.id));
  if (unknown.length === 0) return;
  unknown.forEach((one) => seen.add(one.id));
  // Stable, and times are RFC 3339 in UTC: text order is time order.
  findings.list = [...unknown, ...findings.list].sort((a, b) => (a.ts < b.ts ? 1 : a.ts > b.ts ? -1 : 0));
  for (const one of findings.list.splice(KEPT)) seen.delete(one.id);
  changed("findings");
}

async function loadFindings() {
  try {
    const answer = await get(path("/v1/findings", [], { tenant: tenantWanted(), limit: LISTED }));
    keep(answer.findings ?? []);
    findings.loaded = true;
    changed("findings");
  } catch (error) {
    findings.note = error.message;
    changed("findings");
  }
}

// Findings of one rule, which may be older than those of all rules that are kept.
export async function loadFindingsOf(rule) {
  const answer = await get(path("/v1/findings", [], { tenant: tenantWanted(), rule, limit: LISTED }));
  keep(answer.findings ?? []);
}

function parsed(event) {
  try {
    return JSON.parse(event.data);
  } catch {
    return null;
  }
}

function onFinding(event) {
  if (event.event === "finding") {
    const found = parsed(event);
    if (!found) return;
    fresh.add(found);
    keep([found]);
  } else if (event.event === "hello") {
    loadFindings();
  } else if (event.event === "gap") {
    findings.gap = "The connection was away for too long: some findings in between may be missing here. The sessions have theirs.";
    loadFindings();
    changed("findings");
  } else if (event.event === "dropped") {
    findings.gap = "Findings came faster than this page could read them; the connection starts over from the last one seen.";
    changed("findings");
  }
}

function onFindingState(state, detail) {
  findings.state = state;
  findings.note = state === "waiting" ? `reconnecting in ${Math.ceil(detail / 1000)} s` : (detail ?? "");
  changed("findings");
}

export function clearGap() {
  findings.gap = "";
}

// ── halts ──

const epochs = new Map();
let news = [];
let unsaid = [];

const keyOf = (record) => JSON.stringify([record.tenant, record.session]);
const reasonOf = (record) => (record.rule ? `rule ${record.rule}` : `by ${record.by}`);

function onHalt(event) {
  if (event.event === "gap" || event.event === "dropped") return changed("halts");
  if (event.event !== "halt" && event.event !== "resume") return;
  const record = parsed(event);
  if (!record || typeof record.session !== "string") return;
  const known = epochs.get(keyOf(record)) ?? -1;
  if (!(record.epoch > known)) return;
  epochs.set(keyOf(record), record.epoch);
  changed("halts");
  news = news.filter((one) => keyOf(one) !== keyOf(record));
  const old = record.written && serverNow() - Date.parse(record.written) > NEWS_MS;
  if (record.state !== "halted" || old) return showNews();
  news.unshift({ ...record, until: Date.now() + NEWS_MS });
  unsaid.push(record);
  if (unsaid.length === 1) setTimeout(sayHalts, 700);
  showNews();
}

function sayHalts() {
  const names = unsaid.slice(0, 3).map((record) => `${plain(record.session, 80)}, ${plain(reasonOf(record), 80)}`);
  const more = unsaid.length > 3 ? `; and ${unsaid.length - 3} more` : "";
  byId("aloud").textContent = `Halted: ${names.join("; ")}${more}`;
  unsaid = [];
}

function newsLine(record) {
  const item = el("li", "");
  item.append(
    timeAt(record.written ?? record.at),
    el("strong", "alarm", " Halted "),
    link(sessionHref(record.tenant, record.session), "", name("mono", record.session)),
    name("soft", record.tenant),
    el("span", "why", record.reason ?? reasonOf(record)),
  );
  return item;
}

export function showNews() {
  news = news.filter((one) => one.until > Date.now());
  const shown = news.slice(0, NEWS_SHOWN);
  rows(byId("news-list"), shown, (one) => one.id, newsLine, (one) => `${one.id} ${location.hash}`);
  put(byId("news-close"), news.length > NEWS_SHOWN ? `Dismiss all ${news.length}` : "Dismiss");
  byId("news").hidden = news.length === 0;
}

// ── start and stop ──

const running = new Map();
// Where each stream was left, so that a tab that was hidden goes on from there.
const left = new Map();

export function startStreams() {
  stopStreams();
  if (whyNot("read")) {
    findings.state = "closed";
    findings.note = whyNot("read");
    return changed("findings");
  }
  open("/v1/findings/stream", onFinding, onFindingState);
  open("/v1/halts/stream", onHalt, () => {});
}

function open(stream, onEvent, onState) {
  const pathOf = () => path(stream, [], { tenant: tenantWanted() });
  running.set(stream, follow(pathOf, { from: left.get(stream), onEvent, onState }));
}

export function stopStreams() {
  for (const [stream, one] of running) {
    left.set(stream, one.lastId());
    one.stop();
  }
  running.clear();
}

// Another tenant, or another person: what was kept is not theirs.
export function forget() {
  left.clear();
  findings.list = [];
  findings.loaded = false;
  findings.gap = "";
  seen.clear();
  news = [];
  epochs.clear();
  showNews();
  changed("findings");
}

export function setUpLive() {
  byId("news-close").addEventListener("click", () => {
    news = [];
    showNews();
  });
}
