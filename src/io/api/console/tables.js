// Rules, webhooks and the audit trail, as tables.

import { get, path, post, whyNot } from "./api.js";
import { ACTIONS, SEVERITIES, actionChip, add, byId, button, count, el, emptyNote, guarded, link, name, plural, put, rows, severityChip, span, timeAgo, timeAt } from "./dom.js";
import { askOrder } from "./dialogs.js";
import { bindQuery, hrefTo, route, sessionHref, tenantWanted } from "./route.js";
import { plain } from "./text.js";

const DELIVERIES_LIMIT = 100;
const bound = { rules: [], audit: [] };
let onChange = () => {};

// A cell with its column's name, which a narrow screen shows before it.
function cell(label, className, ...content) {
  const made = add(el("td", className), ...content);
  made.dataset.label = label;
  if (made.childNodes.length === 0) made.classList.add("bare");
  return made;
}

function tableRow(...cells) {
  const made = add(el("tr"), ...cells);
  made.dataset.row = "";
  made.tabIndex = -1;
  return made;
}

// ── rules ──

let rules = null;

function ruleRow(rule) {
  const head = el("div", "rule-head");
  head.append(add(el("strong"), rule.title), link(hrefTo("findings", [], { find: `rule:${rule.id}`, action: "all" }), "rule", name("mono", rule.id)));
  head.lastChild.dataset.part = "open";
  head.lastChild.dataset.open = "";
  const fold = el("details");
  fold.dataset.part = "about";
  const tags = add(el("p", "tags"), (rule.tags ?? []).map((tag) => el("span", "tag", tag)));
  fold.append(el("summary", "soft", "about"), add(el("p", "about"), rule.description ?? "No description."), tags, add(el("p", "facts-line"), "version ", name("mono", rule.version)));
  head.append(fold);
  const idle = !(rule.hits > 0) && !(rule.would_have > 0);
  const made = tableRow(
    cell("Rule", "wide", head),
    cell("Severity", "", severityChip(rule.severity)),
    cell("Action", "", actionChip(rule.action, rule.mode)),
    cell("Kind", "soft", rule.kind),
    cell("Hits", "num", count(rule.hits)),
    cell("Would have", "num", count(rule.would_have)),
    cell("Last hit", "soft", rule.last_hit ? timeAgo(rule.last_hit) : rule.hits === undefined ? "–" : "never"),
  );
  if (idle) made.classList.add("idle");
  return made;
}

function wantedRules() {
  const [words, action, severity, mode] = ["rules-q", "rules-action", "rules-severity", "rules-mode"].map((id) => byId(id).value.trim().toLowerCase());
  const hit = byId("rules-hit").checked;
  return (rule) =>
    (!action || rule.action === action) &&
    (!severity || rule.severity === severity) &&
    (!mode || rule.mode === mode) &&
    (!hit || rule.hits > 0 || rule.would_have > 0) &&
    (!words || [rule.id, rule.title, rule.kind, ...(rule.tags ?? [])].join("\n").toLowerCase().includes(words));
}

function ruleOrder() {
  const sum = (rule) => (rule.hits ?? 0) + (rule.would_have ?? 0);
  const orders = {
    hits: (a, b) => sum(b) - sum(a),
    last: (a, b) => (b.last_hit ?? "").localeCompare(a.last_hit ?? ""),
    id: () => 0,
  };
  const first = orders[byId("rules-sort").value] ?? orders.hits;
  return (a, b) => first(a, b) || (a.id < b.id ? -1 : 1);
}

function showRules() {
  if (rules === null) return;
  const all = rules.rules ?? [];
  const shown = all.filter(wantedRules()).sort(ruleOrder());
  rows(byId("rules"), shown, (rule) => rule.id, ruleRow, (rule) => `${JSON.stringify(rule)} ${tenantWanted()}`);
  const hash = plain(rules.hash ?? "", 12).slice(0, 12);
  put(byId("rules-note"), `${shown.length === all.length ? plural(all.length, "rule") : `${count(shown.length)} of ${plural(all.length, "rule")}`}, set ${hash}`);
  emptyNote(byId("rules-none"), shown.length > 0 ? "" : all.length > 0 ? "No rule fits the filter." : "No rule is loaded.");
}

export async function refreshRules() {
  rules = await get("/v1/rules");
  showRules();
}

function reloadRules() {
  askOrder({
    title: "Reload the rules",
    what: "Rules are read again from where they lie. When one is broken, all stay as they are.",
    label: "Reload",
    async send(order) {
      const answer = await post("/v1/rules/reload", order);
      put(byId("aloud-softly"), answer.changed ? `${plural(answer.rules, "rule")} loaded` : "Nothing has changed");
      onChange();
    },
  });
}

// ── webhooks ──

function outcomeOf(delivery) {
  if (!delivery) return [el("span", "soft", "none yet")];
  const outcome = delivery.outcome ?? (delivery.delivered === false ? "failed" : "delivered");
  const good = outcome === "delivered";
  const parts = [el("span", `chip ${good ? "running" : outcome === "retrying" ? "confirm" : "halt"}`, String(outcome).replaceAll("_", " "))];
  if (delivery.status) parts.push(el("span", "mono", ` ${delivery.status} `));
  if (delivery.at) parts.push(el("span", "", " "), timeAgo(delivery.at));
  if (delivery.error) parts.push(add(el("span", "wrong-line"), delivery.error));
  return parts;
}

function webhookRow(hook) {
  const open = link(hrefTo("webhooks", [hook.name]), "", name("mono", hook.name));
  open.dataset.open = "";
  open.dataset.part = "open";
  if (route.names[0] === hook.name) open.setAttribute("aria-current", "true");
  const test = button("Test", "", () => testWebhook(hook.name, test));
  test.dataset.part = "test";
  test.setAttribute("aria-label", `Test ${plain(hook.name, 80)}`);
  const said = el("span", "said");
  said.setAttribute("role", "status");
  const state = hook.disabled ? el("span", "chip halt", "disabled") : null;
  return tableRow(
    cell("Endpoint", "", open, " ", state),
    cell("Kind", "soft", hook.kind),
    cell("Events", "soft", Array.isArray(hook.events) ? hook.events.join(", ") : hook.events),
    cell("Pending", hook.pending > 0 ? "num warned" : "num", count(hook.pending ?? 0)),
    cell("Oldest", "num", hook.oldest_pending_s > 0 ? span(hook.oldest_pending_s) : ""),
    cell("Last delivery", "wide", outcomeOf(hook.last)),
    cell("", "orders", guarded(test, whyNot("admin")), said),
  );
}

// The answer is said beside the button, and stays when the row is made anew meanwhile.
async function testWebhook(hook, pressed) {
  const say = (text) => {
    const place = [...byId("webhooks").children].find((one) => one.dataset.key === hook)?.querySelector(".said");
    if (place) put(place, text);
  };
  pressed.disabled = true;
  say("sending…");
  try {
    const answer = await post(path("/v1/webhooks/{}/test", [hook]), {});
    const took = `${count(answer.duration_ms)} ms`;
    onChange();
    say(answer.delivered ? `delivered, ${answer.status} in ${took}` : `not delivered: ${answer.error ?? answer.status ?? "no answer"}`);
  } catch (error) {
    say(`not sent: ${error.message}`);
  } finally {
    pressed.disabled = false;
  }
}

function deliveryRow(delivery) {
  const again = button("Redeliver", "", async () => {
    again.disabled = true;
    try {
      await post(path("/v1/webhooks/{}/redeliver", [route.names[0]]), { id: delivery.id });
      put(said, "queued");
      onChange();
    } catch (error) {
      put(said, `not queued: ${error.message}`);
    } finally {
      again.disabled = false;
    }
  });
  again.dataset.part = "again";
  again.setAttribute("aria-label", `Redeliver ${plain(delivery.id, 80)}`);
  const said = el("span", "said");
  said.setAttribute("role", "status");
  const session = delivery.session ? link(sessionHref(delivery.tenant, delivery.session), "", name("mono", delivery.session)) : null;
  if (session) Object.assign(session.dataset, { open: "", part: "open" });
  return tableRow(
    cell("When", "", timeAt(delivery.at)),
    cell("Type", "", delivery.type),
    cell("Session", "", session, " ", delivery.tenant ? name("soft", delivery.tenant) : null),
    cell("Outcome", "wide", outcomeOf({ ...delivery, at: null })),
    cell("Attempts", "num", count(delivery.attempts)),
    cell("Took", "num", Number.isFinite(delivery.duration_ms) ? `${count(delivery.duration_ms)} ms` : ""),
    cell("", "orders", guarded(again, whyNot("admin")), said),
  );
}

export async function refreshWebhooks() {
  const opened = route.names[0];
  const [answer, sent] = await Promise.all([
    get("/v1/webhooks"),
    opened === undefined ? null : get(path("/v1/webhooks/{}/deliveries", [opened], { limit: DELIVERIES_LIMIT })),
  ]);
  const hooks = answer.webhooks ?? [];
  rows(byId("webhooks"), hooks, (hook) => hook.name, webhookRow, (hook) => `${JSON.stringify(hook)} ${route.names[0] === hook.name} ${tenantWanted()}`);
  emptyNote(byId("webhooks-none"), hooks.length > 0 ? "" : "No webhook is set up.");
  if (sent === null || opened !== route.names[0]) return;
  const deliveries = sent.deliveries ?? [];
  rows(byId("deliveries"), deliveries, (one) => one.id, deliveryRow, (one) => `${JSON.stringify(one)} ${tenantWanted()}`);
  emptyNote(byId("deliveries-none"), deliveries.length > 0 ? "" : "Nothing was delivered since this process started.");
}

function enterWebhooks() {
  const opened = route.names[0];
  const box = byId("deliveries-part");
  box.hidden = opened === undefined;
  if (opened === undefined || box.dataset.name === opened) return;
  box.dataset.name = opened;
  put(byId("deliveries-title"), `Deliveries to ${opened}`);
  byId("deliveries").replaceChildren();
  emptyNote(byId("deliveries-none"), "Loading…");
}

// ── audit ──

let audit = null;

function auditRow(entry) {
  const target = entry.session ? link(sessionHref(entry.tenant ?? "default", entry.session), "", name("mono", entry.session)) : null;
  if (target) Object.assign(target.dataset, { open: "", part: "open" });
  const detail = entry.detail === null || entry.detail === undefined || entry.detail === "" ? null : typeof entry.detail === "string" ? entry.detail : JSON.stringify(entry.detail);
  const hash = plain(entry.hash ?? "", 80).replace(/^sha256:/, "").slice(0, 12);
  const place = name("mono", `#${entry.seq}`);
  place.title = plain(`chain ${entry.chain}`);
  return tableRow(
    cell("When", "", timeAt(entry.ts)),
    cell("Who", "", name("", entry.actor), " ", entry.token ? name("soft", `token ${entry.token}`) : null, " ", entry.from ? name("soft", entry.from) : null),
    cell("Did", "", el("span", "chip", entry.action)),
    cell("To", "", target, " ", entry.tenant ? name("soft", entry.tenant) : null),
    cell("Reason", "wide", add(el("span", "reason"), entry.reason ?? ""), detail ? add(el("div", "soft detail"), detail) : null),
    cell("Entry", "soft", place, " ", name("mono", hash)),
  );
}

// Where an entry does not hold the hash of the one before it, somebody has touched the trail.
function brokenLinks(entries) {
  const byPlace = new Map(entries.map((entry) => [`${entry.chain} ${entry.seq}`, entry]));
  return entries.filter((entry) => {
    const before = byPlace.get(`${entry.chain} ${entry.seq - 1}`);
    return before !== undefined && before.hash !== entry.prev;
  });
}

function showAudit() {
  if (audit === null) return;
  const words = byId("audit-q").value.trim().toLowerCase();
  const all = audit.entries ?? [];
  const shown = words ? all.filter((entry) => JSON.stringify(entry).toLowerCase().includes(words)) : all;
  rows(byId("audit"), shown, (entry) => `${entry.chain} ${entry.seq}`, auditRow, (entry) => `${JSON.stringify(entry)} ${tenantWanted()}`);
  const broken = brokenLinks(all);
  const chain = broken.length > 0 ? `the chain is broken at ${broken.slice(0, 3).map((entry) => `#${entry.seq}`).join(", ")}` : "the chain of those shown is unbroken";
  put(byId("audit-note"), all.length === 0 ? "" : `${plural(all.length, "entry", "entries")}, ${chain}`);
  byId("audit-note").classList.toggle("alarm", broken.length > 0);
  emptyNote(byId("audit-none"), shown.length > 0 ? "" : all.length > 0 ? "No entry fits." : "No entry yet.");
}

export async function refreshAudit() {
  audit = await get(path("/v1/audit", [], { tenant: tenantWanted(), limit: byId("audit-limit").value }));
  showAudit();
}

// ── set-up ──

export function enterTable(view) {
  (bound[view] ?? []).forEach((read) => read());
  if (view === "rules") showRules();
  if (view === "webhooks") enterWebhooks();
  if (view === "audit") showAudit();
}

export function forgetTables() {
  [rules, audit] = [null, null];
  for (const id of ["rules", "webhooks", "deliveries", "audit"]) byId(id).replaceChildren();
}

export function setUpTables(changed) {
  onChange = changed;
  for (const [id, values] of [["rules-action", ACTIONS], ["rules-severity", SEVERITIES]]) {
    for (const value of [...values].reverse()) byId(id).append(add(Object.assign(el("option"), { value }), value));
  }
  for (const [id, key, fallback, wait] of [["rules-q", "q", "", 200], ["rules-action", "action", "", 0], ["rules-severity", "severity", "", 0], ["rules-mode", "mode", "", 0], ["rules-sort", "sort", "hits", 0]]) {
    bound.rules.push(bindQuery(id, key, fallback, showRules, wait));
  }
  bound.audit.push(bindQuery("audit-q", "q", "", showAudit, 200), bindQuery("audit-limit", "limit", "100", changed));
  byId("rules-hit").addEventListener("change", showRules);
  byId("rules-reload").addEventListener("click", reloadRules);
  for (const form of document.querySelectorAll("form.filters")) form.addEventListener("submit", (submitted) => submitted.preventDefault());
}

// What depends on who is signed in.
export function guardTables() {
  guarded(byId("rules-reload"), whyNot("admin"));
}
