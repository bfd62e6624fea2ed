// The console: asks the API every two seconds and shows what it says. Text from agents is attackers'
// text: it goes into the page by textContent only, never as markup.
"use strict";

const EVERY_MS = 2000;
const byId = (id) => document.getElementById(id);

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
}

async function ask(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error?.message ?? `status ${answer.status}`);
  return body;
}

function time(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? String(text) : at.toLocaleTimeString();
}

// ── orders ──

let ordered = null;

function orderButton(session, what) {
  const button = element("button", "", what === "resume" ? "Resume" : "Halt");
  button.setAttribute("aria-label", `${button.textContent} session ${session.session} of ${session.tenant}`);
  button.addEventListener("click", () => {
    ordered = { ...session, what };
    byId("order-title").textContent = `${button.textContent} ${session.session} (${session.tenant})`;
    byId("order-send").textContent = button.textContent;
    byId("order-error").textContent = "";
    byId("order").showModal();
    byId(byId("order-by").value ? "order-reason" : "order-by").focus();
  });
  return button;
}

byId("order-cancel").addEventListener("click", () => byId("order").close());
byId("order-form").addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const path = `/v1/sessions/${encodeURIComponent(ordered.session)}/${ordered.what}?tenant=${encodeURIComponent(ordered.tenant)}`;
  const body = JSON.stringify({ by: byId("order-by").value, reason: byId("order-reason").value });
  try {
    await ask(path, { method: "POST", headers: { "content-type": "application/json" }, body });
    byId("order-reason").value = "";
    byId("order").close();
    await refresh();
  } catch (error) {
    byId("order-error").textContent = error.message;
  }
});

// ── what is shown ──

function halted(record) {
  const item = element("li", "halt");
  const head = element("div", "head");
  head.append(element("strong", "", record.session), element("span", "tag", record.tenant));
  head.append(element("span", "tag halt", record.rule ?? `by ${record.by}`), element("span", "", `since ${time(record.at)}`));
  head.append(orderButton(record, "resume"));
  item.append(head, element("p", "what", record.reason));
  return item;
}

function finding(found) {
  const item = element("li", found.severity);
  const head = element("div", "head");
  head.append(element("strong", "", found.title), element("span", `tag ${found.action}`, found.mode === "shadow" ? `would ${found.action}` : found.action));
  head.append(element("span", "tag", found.severity), element("span", "", `${found.session} · ${time(found.ts)}`));
  item.append(head, element("p", "what", found.evidence.summary));
  if (found.evidence.excerpt) item.append(element("code", "", found.evidence.excerpt));
  return item;
}

function session(known) {
  const row = element("tr");
  const activity = known.activity ?? {};
  const name = element("td", "name", `${known.session} (${known.tenant})`);
  name.title = known.session;
  row.append(name, element("td", "name", activity.agent ?? ""));
  const state = element("td");
  state.append(element("span", `tag ${known.state}`, known.state));
  row.append(state, element("td", "number", activity.events ?? ""), element("td", "number", activity.findings_total ?? ""));
  row.append(element("td", "", activity.last_seen ? time(activity.last_seen) : ""));
  const order = element("td");
  order.append(orderButton(known, known.state === "halted" ? "resume" : "halt"));
  row.append(order);
  return row;
}

// A list that has the keyboard's focus in it is left alone until the next time.
function show(id, items, make) {
  const list = byId(id);
  const text = JSON.stringify(items);
  if (list.dataset.shown === text || list.contains(document.activeElement)) return;
  list.dataset.shown = text;
  list.replaceChildren(...items.map(make));
  const none = byId(`${id}-none`);
  if (none) none.hidden = items.length > 0;
}

function sum(metrics, name) {
  const lines = metrics.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);
}

function numbers(metrics) {
  const count = sum(metrics, "haltline_sessions_halted");
  byId("n-halted").textContent = count;
  byId("n-halted").className = count > 0 ? "alarm" : "";
  byId("n-sessions").textContent = sum(metrics, "haltline_sessions");
  byId("n-events").textContent = sum(metrics, "haltline_events_total").toLocaleString();
  const p99 = sum(metrics, 'haltline_halt_latency_quantile_seconds{quantile="0.99"}');
  byId("n-latency").textContent = p99 > 0 ? `${Math.round(p99 * 1000)} ms` : "–";
}

function status(text, className) {
  const line = byId("status");
  if (line.textContent !== text) line.textContent = text;
  line.className = className;
}

async function refresh() {
  try {
    const [ready, halts, findings, sessions, metrics] = await Promise.all([
      fetch("/readyz").then((answer) => answer.json()),
      ask("/v1/halts?limit=50"),
      ask("/v1/findings?limit=50"),
      ask("/v1/sessions?limit=100"),
      fetch("/metrics").then((answer) => answer.text()),
    ]);
    show("halted", halts.halts, halted);
    show("findings", findings.findings, finding);
    show("sessions", sessions.sessions, session);
    numbers(metrics);
    if (ready.ready) status("Live", "good");
    else status(`Not ready: waiting for ${ready.waiting.join(", ")}. Nothing shown here is complete.`, "bad");
  } catch (error) {
    status(`No answer from Haltline since ${time(lastAnswer)}: ${error.message}`, "bad");
    return;
  }
  lastAnswer = Date.now();
}

let lastAnswer = Date.now();
refresh();
setInterval(refresh, EVERY_MS);
