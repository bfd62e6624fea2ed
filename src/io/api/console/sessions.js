// The list of sessions, by risk or by time.

import { get, path } from "./api.js";
import { add, byId, count, el, emptyNote, link, name, plural, put, rows, score, stateChip, timeAgo } from "./dom.js";
import { bindQuery, route, sessionHref, setQuery, tenantWanted } from "./route.js";

const LIMIT = 200;
const bound = [];
let answer = null;
let seen = "";

const keyOf = (session) => JSON.stringify([session.tenant, session.session]);

function activityLine(session) {
  const line = el("span", "what");
  line.append(name("", session.tenant));
  const activity = session.activity;
  if (!activity) return add(line, el("span", "", "nothing seen by this process"));
  if (activity.agent) line.append(name("", activity.agent));
  if (activity.findings_total > 0) add(line, el("span", "", plural(activity.findings_total, "finding")));
  if (activity.events_after_halt > 0) add(line, el("span", "alarm", `${count(activity.events_after_halt)} after its halt`));
  return line;
}

function row(session) {
  const open = link(sessionHref(session.tenant, session.session), "line");
  open.dataset.row = "";
  open.dataset.part = "open";
  const head = el("span", "head");
  head.append(stateChip(session.state), name("mono", session.session));
  const points = el("span", "score", score(session.activity?.score));
  points.title = "risk score";
  points.prepend(el("span", "unseen", "risk score "));
  if (session.activity?.last_seen) head.append(timeAgo(session.activity.last_seen));
  head.append(points);
  open.append(head, activityLine(session));
  if (session.halt) {
    const why = add(el("span", "why"), session.halt.rule ? "" : `${session.halt.by}: `, session.halt.reason);
    why.dir = "auto";
    open.append(why);
  }
  const item = el("li", session.state === "halted" ? "halted" : "");
  if (keyOf(session) === seen) open.setAttribute("aria-current", "true");
  item.append(open);
  return item;
}

export async function refreshSessions() {
  const query = {
    tenant: tenantWanted(),
    state: byId("sessions-state").value,
    sort: byId("sessions-sort").value,
    q: byId("sessions-q").value.trim(),
    limit: LIMIT,
  };
  answer = await get(path("/v1/sessions", [], query));
  show();
  return answer;
}

function show() {
  if (answer === null) return;
  const all = answer.sessions ?? [];
  // The name of the open session and the tenant in the links are part of what a row shows.
  const around = `${location.hash.split("?")[1] ?? ""}`;
  rows(byId("sessions"), all, keyOf, row, (one) => `${JSON.stringify(one)} ${keyOf(one) === seen} ${around}`);
  const filtered = byId("sessions-q").value || byId("sessions-state").value || tenantWanted();
  emptyNote(byId("sessions-none"), all.length > 0 ? moreText(all.length) : filtered ? "No session fits the filter." : "No session was seen yet.");
  const part = answer.complete === false ? "the workers do not answer, so only halted ones are listed" : "";
  put(byId("sessions-note"), part || (answer.halted > 0 ? `${count(answer.halted)} halted` : "none halted"));
  byId("sessions-note").classList.toggle("alarm", part !== "" || answer.halted > 0);
}

const moreText = (shown) => (shown >= LIMIT ? `The first ${LIMIT} are shown: search for others.` : "");

// Marks the session that is open beside the list.
export function markOpen() {
  seen = route.view === "session" ? JSON.stringify(route.names) : "";
  show();
}

export function setUpSessions(changed) {
  bound.push(bindQuery("sessions-state", "state", "", changed));
  bound.push(bindQuery("sessions-sort", "sort", "risk", changed));
  bound.push(bindQuery("sessions-q", "q", "", changed, 250));
  byId("sessions-filters").addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    setQuery({ q: byId("sessions-q").value.trim() });
    changed();
  });
}

export function enterSessions() {
  bound.forEach((read) => read());
}

export function forgetSessions() {
  answer = null;
  byId("sessions").replaceChildren();
  emptyNote(byId("sessions-none"), "Loading…");
}
