// The console: asks the API every two seconds and shows what it says. Text from agents is attackers'
// text: it goes into the page by textContent only, never as markup.
"use strict";

const EVERY_MS = 2000;
const ANSWER_MS = 5000;
const byId = (id) => document.getElementById(id);

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
}

async function answerOf(path, options) {
  return fetch(path, { ...options, signal: AbortSignal.timeout(ANSWER_MS) });
}

async function ask(path, options) {
  const answer = await answerOf(path, options);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error?.message ?? `${path} answered with status ${answer.status}`);
  return body;
}

function time(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toLocaleTimeString();
}

function timeElement(text) {
  const made = element("time", "", time(text));
  made.dateTime = text;
  made.title = text;
  return made;
}

// ── orders ──

let ordered = null;

function orderButton(place, session, what) {
  const button = element("button", "", what === "resume" ? "Resume…" : "Halt…");
  button.type = "button";
  button.dataset.key = JSON.stringify([place, session.tenant, session.session]);
  button.setAttribute("aria-label", `${what} session ${session.session} of tenant ${session.tenant}`);
  button.addEventListener("click", () => openOrder(session, what));
  return button;
}

function openOrder(session, what) {
  ordered = { tenant: session.tenant, session: session.session, what };
  const name = what === "resume" ? "Resume" : "Halt";
  byId("order-title").textContent = `${name} session ${session.session}`;
  byId("order-what").textContent =
    what === "resume"
      ? `Tenant ${session.tenant}. It may act again at once; what was seen so far halts it no more.`
      : `Tenant ${session.tenant}. It may not act until somebody resumes it.`;
  byId("order-send").textContent = name;
  byId("order-error").textContent = "";
  byId("order").showModal();
  byId(byId("order-by").value ? "order-reason" : "order-by").focus();
}

async function giveOrder() {
  const { tenant, session, what } = ordered;
  const path = `/v1/sessions/${encodeURIComponent(session)}/${what}?tenant=${encodeURIComponent(tenant)}`;
  const body = JSON.stringify({ by: byId("order-by").value, reason: byId("order-reason").value });
  byId("order-send").disabled = true;
  byId("order-error").textContent = "";
  try {
    await ask(path, { method: "POST", headers: { "content-type": "application/json" }, body });
    byId("order-reason").value = "";
    byId("order").close();
    await refresh();
  } catch (error) {
    byId("order-error").textContent = `Not done: ${error.message}`;
  } finally {
    byId("order-send").disabled = false;
  }
}

byId("order-cancel").addEventListener("click", () => byId("order").close());
byId("order-form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  giveOrder();
});

// ── what is shown ──

function halted(record) {
  const item = element("li", "halt");
  const head = element("div", "head");
  head.append(element("strong", "", record.session), element("span", "tag", record.tenant));
  head.append(element("span", "tag halt", record.rule ?? `by ${record.by}`));
  if (record.severity) head.append(element("span", "tag", record.severity));
  const since = element("span", "when", "since ");
  since.append(timeElement(record.at));
  head.append(since, orderButton("halted", record, "resume"));
  item.append(head, element("p", "what", record.reason));
  return item;
}

function finding(found) {
  const item = element("li", found.severity);
  const head = element("div", "head");
  const action = found.mode === "shadow" ? `would ${found.action}` : found.action;
  head.append(element("strong", "", found.title), element("span", `tag ${found.action}`, action));
  head.append(element("span", "tag", found.severity), element("span", "tag", found.rule));
  const where = element("span", "when", `${found.session} (${found.tenant}) · `);
  where.append(timeElement(found.ts));
  head.append(where);
  item.append(head, element("p", "what", found.evidence.summary));
  if (found.evidence.excerpt) item.append(element("code", "", found.evidence.excerpt));
  return item;
}

function session(known) {
  const row = element("tr");
  const activity = known.activity ?? {};
  const named = (text) => {
    const cell = element("td", "name", text ?? "");
    cell.title = text ?? "";
    return cell;
  };
  row.append(named(known.session), named(known.tenant), named(activity.agent));
  const state = element("td");
  state.append(element("span", `tag ${known.state}`, known.state));
  row.append(state, element("td", "number", activity.events), element("td", "number", activity.findings_total));
  const last = element("td");
  if (activity.last_seen) last.append(timeElement(activity.last_seen));
  const order = element("td");
  order.append(orderButton("sessions", known, known.state === "halted" ? "resume" : "halt"));
  row.append(last, order);
  return row;
}

// Puts a list in place of the old one where it differs. The keyboard's focus goes back to the button of
// the same session, or to the list's heading when the session is gone from it.
function show(id, items, make) {
  const list = byId(id);
  const text = JSON.stringify(items);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...items.map(make));
  byId(`${id}-none`).hidden = items.length > 0;
  if (focused) {
    const again = [...list.querySelectorAll("button")].find((button) => button.dataset.key === focused);
    (again ?? byId(`${id}-title`)).focus();
  }
}

function sum(metrics, name) {
  const lines = metrics.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);
}

function numbers(metrics) {
  const count = sum(metrics, "haltline_sessions_halted");
  byId("n-halted").textContent = count.toLocaleString();
  byId("n-halted").className = count > 0 ? "alarm" : "";
  byId("n-sessions").textContent = sum(metrics, "haltline_sessions").toLocaleString();
  byId("n-events").textContent = sum(metrics, "haltline_events_total").toLocaleString();
  const p99 = sum(metrics, 'haltline_halt_latency_quantile_seconds{quantile="0.99"}');
  byId("n-latency").textContent = p99 > 0 ? `${Math.round(p99 * 1000).toLocaleString()} ms` : "–";
}

// Says aloud, for those who do not see the page, who was halted since the last look.
let halts = null;

function tellNews(records) {
  const now = new Map(records.map((record) => [record.id, record]));
  const fresh = halts === null ? [] : [...now.values()].filter((record) => !halts.has(record.id));
  if (fresh.length > 0) {
    const names = fresh.slice(0, 3).map((record) => record.session).join(", ");
    byId("news").textContent = fresh.length > 3 ? `Halted: ${names} and ${fresh.length - 3} more` : `Halted: ${names}`;
  }
  halts = now;
}

function status(text, className) {
  const line = byId("status");
  if (line.textContent !== text) line.textContent = text;
  line.className = className;
  document.body.classList.toggle("stale", className === "bad");
}

// ── asking ──

let lastAnswer = null;

async function refresh() {
  try {
    const ready = await (await answerOf("/readyz")).json();
    if (!ready.ready) {
      status(`Not ready: waiting for ${ready.waiting.join(", ")}. Who is halted is not known yet.`, "bad");
      lastAnswer = Date.now();
      return;
    }
    const [listed, findings, sessions, metrics] = await Promise.all([
      ask("/v1/halts?limit=50"),
      ask("/v1/findings?limit=50"),
      ask("/v1/sessions?limit=100"),
      answerOf("/metrics").then((answer) => answer.text()),
    ]);
    show("halted", listed.halts, halted);
    show("findings", findings.findings, finding);
    show("sessions", sessions.sessions, session);
    byId("sessions-part").hidden = sessions.complete !== false;
    numbers(metrics);
    tellNews(listed.halts);
    lastAnswer = Date.now();
    status("Live", "good");
  } catch (error) {
    const since = lastAnswer === null ? "" : ` since ${time(lastAnswer)}; what is shown is from then`;
    status(`No answer from Haltline${since} (${error.message})`, "bad");
  }
}

// One look after the other, however long an answer takes.
async function poll() {
  await refresh();
  setTimeout(poll, EVERY_MS);
}

poll();
