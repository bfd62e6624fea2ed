// Findings: the card that says why a rule fired, and the list of them as they come.

import { clearGap, findings, fresh, loadFindingsOf, onLive } from "./live.js";
import { ACTIONS, SEVERITIES, actionChip, add, byId, count, el, emptyNote, link, name, plural, put, rows, severityChip, timeAt } from "./dom.js";
import { bindQuery, hrefTo, route, sessionHref } from "./route.js";
import { markedNodes } from "./text.js";

const SHOWN = 200;
// `rule:ID` looks for the findings of that rule; everything else is looked for in all that a finding says.
const RULE = /^rule:(.+)$/s;

// ── one finding ──

function excerptOf(evidence) {
  if (typeof evidence?.excerpt !== "string" || evidence.excerpt === "") return null;
  const box = el("code", "excerpt");
  box.dir = "auto";
  box.append(...markedNodes(evidence.excerpt, evidence.mark));
  return box;
}

const fact = (label, ...content) => add(el("span", "fact"), el("span", "label", label), ...content);

export const originOf = (origin) => (origin ? `${origin.topic}/${origin.partition}@${origin.offset}` : null);

function factsOf(found) {
  const evidence = found.evidence ?? {};
  const facts = el("p", "facts-line");
  if (evidence.field) facts.append(fact("in", name("mono", evidence.field)));
  if (evidence.decoded?.length) facts.append(fact("undone", el("span", "chain", evidence.decoded.join(" → "))));
  if (Number.isFinite(evidence.score)) facts.append(fact("classifier", evidence.score.toFixed(2)));
  return facts;
}

function reasonsOf(evidence) {
  if (!Array.isArray(evidence?.reasons) || evidence.reasons.length === 0) return null;
  const list = el("ul", "reasons");
  for (const reason of evidence.reasons) list.append(el("li", "", reason));
  return add(el("div", "because"), el("span", "label", "because of"), list);
}

function moreOf(found) {
  const tags = el("p", "tags");
  for (const tag of found.tags ?? []) tags.append(el("span", "tag", tag));
  const facts = el("p", "facts-line");
  facts.append(fact("event", name("mono", found.event_id)), fact("finding", name("mono", found.id)));
  facts.append(fact("rule version", name("mono", found.rule_version)));
  const origin = originOf(found.origin);
  if (origin) facts.append(fact("at", name("mono", origin)));
  if (found.evidence?.span) facts.append(fact("bytes", found.evidence.span.join("–")));
  return [tags, facts];
}

function headOf(found, level) {
  const head = el("div", "head");
  head.append(severityChip(found.severity), actionChip(found.action, found.mode));
  const title = add(el(level, "title"), found.title);
  title.dir = "auto";
  head.append(title, timeAt(found.ts));
  return head;
}

// `full` adds what one wants to know of a single session; without it the card says where the finding belongs.
export function findingCard(found, { full = false, level = full ? "h4" : "h3" } = {}) {
  const card = el("li", `card ${SEVERITIES.includes(found.severity) ? found.severity : ""}`);
  card.classList.toggle("fresh", !full && fresh.has(found));
  card.dataset.row = "";
  card.tabIndex = -1;
  card.append(headOf(found, level));
  const where = el("p", "where");
  if (!full) {
    const open = link(sessionHref(found.tenant, found.session), "", name("mono", found.session));
    open.dataset.open = "";
    open.dataset.part = "open";
    where.append(open, name("", found.tenant));
    if (found.agent) where.append(name("", found.agent));
  }
  if (found.tool) where.append(name("mono", found.tool));
  const rule = link(hrefTo("findings", [], { find: `rule:${found.rule}`, action: "all" }), "rule", name("mono", found.rule));
  rule.dataset.part = "rule";
  where.append(rule);
  const summary = add(el("p", "summary"), found.evidence?.summary ?? "");
  summary.dir = "auto";
  card.append(where, summary);
  const excerpt = excerptOf(found.evidence);
  if (excerpt) card.append(excerpt);
  const facts = factsOf(found);
  if (facts.childNodes.length > 0) card.append(facts);
  if (full) card.append(...[reasonsOf(found.evidence), ...moreOf(found)].filter(Boolean));
  return card;
}

// ── the list ──

let paused = null;
const bound = [];

const rank = (list, value) => list.indexOf(value);

function wanted() {
  const severity = rank(SEVERITIES, byId("feed-severity").value);
  const action = byId("feed-action").value === "all" ? 0 : rank(ACTIONS, byId("feed-action").value);
  const text = byId("feed-q").value.trim();
  const [, rule] = RULE.exec(text) ?? [];
  const words = text.toLowerCase();
  return (found) =>
    rank(SEVERITIES, found.severity) >= severity &&
    rank(ACTIONS, found.action) >= action &&
    (rule === undefined ? words === "" || textOf(found).includes(words) : found.rule === rule);
}

// Many findings and few changes: the text of each is put together once.
const texts = new WeakMap();
function textOf(found) {
  if (!texts.has(found)) {
    const { rule, title, session, tenant, agent, tool, evidence, tags } = found;
    const all = [rule, title, session, tenant, agent, tool, evidence?.summary, evidence?.excerpt, ...(tags ?? [])];
    texts.set(found, all.filter(Boolean).join("\n").toLowerCase());
  }
  return texts.get(found);
}

function stateText(held) {
  if (paused) return held > 0 ? `paused, ${plural(held, "new finding")}` : "paused";
  if (findings.state === "live") return "live";
  if (findings.state === "closed") return `not live: ${findings.note}`;
  return findings.note || "connecting…";
}

function showFeed() {
  const pass = wanted();
  const fit = findings.list.filter(pass);
  const shown = (paused ?? fit).filter(pass);
  const held = paused ? fit.filter((one) => !pausedIds.has(one.id)).length : 0;
  rows(byId("feed"), shown.slice(0, SHOWN), (found) => found.id, (found) => findingCard(found), (found) => `${found.id} ${route.query.get("tenant") ?? ""}`);
  put(byId("feed-state"), stateText(held));
  byId("feed-state").classList.toggle("live", findings.state === "live" && !paused);
  byId("feed-pause").setAttribute("aria-pressed", String(paused !== null));
  put(byId("feed-pause"), paused ? (held > 0 ? `Show ${count(held)} new` : "Go on") : "Pause");
  emptyNote(byId("feed-gap"), findings.gap);
  emptyNote(byId("feed-none"), noneText(shown.length));
}

function noneText(shown) {
  if (shown > SHOWN) return `The latest ${SHOWN} of ${plural(shown, "finding")} are shown: narrow the search for older ones.`;
  if (shown > 0) return "";
  if (findings.state === "closed") return findings.note;
  if (!findings.loaded) return "Loading…";
  return findings.list.length > 0 ? "No finding fits the filter." : "Nothing was found since this process started.";
}

let pausedIds = new Set();

export function togglePause() {
  paused = paused ? null : [...findings.list];
  pausedIds = new Set((paused ?? []).map((one) => one.id));
  clearGap();
  showFeed();
  byId("aloud-softly").textContent = paused ? "Findings paused" : "Findings live";
}

// What is searched for may be a rule whose findings are older than those that are kept.
async function searchRule() {
  const [, rule] = RULE.exec(byId("feed-q").value.trim()) ?? [];
  showFeed();
  if (rule) await loadFindingsOf(rule).catch(() => {});
}

export function setUpFeed() {
  bound.push(bindQuery("feed-severity", "severity", "", showFeed));
  bound.push(bindQuery("feed-action", "action", "flag", showFeed));
  bound.push(bindQuery("feed-q", "find", "", searchRule, 250));
  byId("feed-filters").addEventListener("submit", (submitted) => submitted.preventDefault());
  byId("feed-pause").addEventListener("click", togglePause);
  onLive((what) => what.has("findings") && showFeed());
}

export function enterFeed() {
  bound.forEach((read) => read());
  searchRule();
}
