// Small things to build the page from: elements, times, numbers, lists that keep their rows.

import { nodesOf, plain } from "./text.js";

export const byId = (id) => document.getElementById(id);

// An element; strings become text nodes in which nothing stays hidden.
export function el(name, className, ...content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  return add(made, ...content);
}

export function add(parent, ...content) {
  for (const item of content.flat()) {
    if (item === null || item === undefined || item === "") continue;
    if (item instanceof Node) parent.append(item);
    else parent.append(...nodesOf(item));
  }
  return parent;
}

// Puts a text in place where it differs, so that live regions speak only of changes.
export function put(place, text) {
  const shown = plain(text ?? "", 1000);
  if (place.textContent !== shown) place.textContent = shown;
  return place;
}

// A name that an agent may have chosen: one line, cut by the style, whole in the title.
export function name(className, value) {
  const made = el("bdi", `name ${className}`.trim());
  made.append(...nodesOf(value ?? "", { max: 300 }));
  made.title = plain(value ?? "", 1000);
  return made;
}

export function button(label, className, onClick) {
  const made = el("button", className, label);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

// A button that stays reachable when it may not be used, and says why; without `why` it works.
export function guarded(made, why) {
  made.toggleAttribute("aria-disabled", Boolean(why));
  if (why) made.setAttribute("aria-disabled", "true");
  made.title = why ? plain(why) : "";
  if (made.isGuarded) return made;
  made.isGuarded = true;
  const stop = (clicked) => {
    if (made.ariaDisabled === "true") clicked.stopImmediatePropagation();
  };
  made.addEventListener("click", stop, { capture: true });
  return made;
}

export function link(href, className, ...content) {
  const made = el("a", className, ...content);
  made.href = href;
  return made;
}

// ── chips ──

export const SEVERITIES = ["informational", "low", "medium", "high", "critical"];
export const ACTIONS = ["observe", "flag", "confirm", "deny", "halt"];
const known = (list, value) => (list.includes(value) ? value : "other");

export const severityChip = (severity) =>
  el("span", `sev ${known(SEVERITIES, severity)}`, severity === "informational" ? "info" : severity);

export function actionChip(action, mode) {
  const would = mode === "shadow";
  return el("span", `chip ${known(ACTIONS, action)}${would ? " would" : ""}`, would ? `would ${action}` : action);
}

export const stateChip = (state) =>
  el("span", `chip state ${known(["halted", "running", "unknown"], state)}`, state);

// ── times and numbers ──

const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

// How far the server's clock is ahead of this one, in milliseconds.
let skew = 0;
export const setSkew = (ms) => {
  skew = ms;
};
export const serverNow = () => Date.now() + skew;

export function clock(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  const today = date.toDateString() === new Date().toDateString();
  return today ? CLOCK.format(date) : `${DAY.format(date)} ${CLOCK.format(date)}`;
}

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d`;
}

const ago = (at) => {
  const seconds = (serverNow() - new Date(at).getTime()) / 1000;
  if (Number.isNaN(seconds)) return String(at);
  return seconds < 2 ? "now" : `${span(seconds)} ago`;
};

export function timeAt(at) {
  const made = el("time", "", clock(at));
  made.dateTime = plain(at, 40);
  made.title = plain(at, 40);
  return made;
}

// A time that says how long ago it was, kept up to date by `tick`.
export function timeAgo(at) {
  const made = timeAt(at);
  made.dataset.ago = plain(at, 40);
  made.textContent = ago(at);
  return made;
}

export function tick() {
  for (const made of document.querySelectorAll("time[data-ago]")) {
    const text = ago(made.dataset.ago);
    if (made.textContent !== text) made.textContent = text;
  }
}

export const count = (value) => (Number.isFinite(value) ? value.toLocaleString() : "–");
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
export const score = (value) => (Number.isFinite(value) ? (Math.round(value * 10) / 10).toLocaleString() : "–");

// ── lists that keep their rows ──

// Makes the children of `list` those of `items`, keeping the rows that stay the same (and with them the
// focus, the selection and what was unfolded). `make` gets an item; `textOf` says when a row must be made anew.
export function rows(list, items, keyOf, make, textOf = JSON.stringify) {
  const held = list.contains(document.activeElement) ? document.activeElement : null;
  const heldKey = held?.closest("[data-key]")?.dataset.key;
  const heldPart = held?.dataset.part;
  const old = new Map([...list.children].map((row) => [row.dataset.key, row]));
  const wanted = items.map((item) => {
    const key = keyOf(item);
    const text = textOf(item);
    const row = old.get(key);
    old.delete(key);
    if (row?.shownText === text) return row;
    const made = make(item);
    made.dataset.key = key;
    made.shownText = text;
    if (row) keepOpen(row, made);
    return made;
  });
  const stay = new Set(wanted);
  for (const row of [...list.children]) if (!stay.has(row)) row.remove();
  let place = list.firstElementChild;
  for (const row of wanted) {
    if (row === place) place = place.nextElementSibling;
    else list.insertBefore(row, place);
  }
  if (held && document.activeElement !== held) focusAgain(list, held, heldKey, heldPart);
}

function keepOpen(row, made) {
  const open = new Set([...row.querySelectorAll("details[open][data-part]")].map((one) => one.dataset.part));
  for (const one of made.querySelectorAll("details[data-part]")) one.open = open.has(one.dataset.part);
}

function focusAgain(list, held, key, part) {
  if (held.isConnected) return held.focus({ preventScroll: true });
  const row = [...list.children].find((one) => one.dataset.key === key);
  const same = part && row?.querySelector(`[data-part="${CSS.escape(part)}"]`);
  const target = same || (row?.matches("[data-row]") ? row : row?.querySelector("[data-row]"));
  // What had the focus is gone from the list: its heading is nearest.
  (target ?? document.getElementById(list.dataset.heading))?.focus({ preventScroll: true });
}

// Shows one of a list's states: loading, nothing, or rows.
export function emptyNote(place, text) {
  put(place, text ?? "");
  place.hidden = !text;
}
