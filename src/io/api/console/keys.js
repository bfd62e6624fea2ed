// The keyboard: one key, one thing, and only where nobody is typing.

import { byId } from "./dom.js";
import { openHelp } from "./dialogs.js";
import { togglePause } from "./findings.js";
import { VIEWS, go, hrefTo, route } from "./route.js";
import { orderSession } from "./session.js";

const STORED = "haltline.keys";
const seen = (node) => node.checkVisibility();

function rowsNear(active) {
  const inside = active?.closest("[data-rows]");
  if (inside && seen(inside)) return inside;
  const around = active?.closest("[data-pane]") ?? byId("main");
  const lists = [...around.querySelectorAll("[data-rows]"), ...byId("main").querySelectorAll("[data-rows]")];
  return lists.find((list) => seen(list) && list.querySelector("[data-row]"));
}

function move(by) {
  const list = rowsNear(document.activeElement);
  const rows = [...(list?.querySelectorAll("[data-row]") ?? [])].filter(seen);
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const to = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by));
  rows[to].focus({ preventScroll: true });
  rows[to].scrollIntoView({ block: "nearest" });
}

function openRow() {
  const row = document.activeElement;
  if (!row?.matches("[data-row]") || row.matches("a")) return false;
  const target = row.querySelector("[data-open]") ?? row.querySelector("summary");
  target?.click();
  return Boolean(target);
}

function search() {
  const near = document.activeElement?.closest("[data-pane]")?.querySelector("[data-search]");
  const field = near && seen(near) ? near : [...byId("main").querySelectorAll("[data-search]")].find(seen);
  field?.focus();
  field?.select();
  return Boolean(field);
}

function escape(goBack) {
  const active = document.activeElement;
  if (active?.matches("[data-search]")) {
    const list = rowsNear(active);
    (list?.querySelector("[data-row]") ?? document.getElementById(list?.dataset.heading) ?? byId("main")).focus();
    return true;
  }
  if (route.view === "session" || (route.view === "webhooks" && route.names.length > 0)) {
    goBack();
    return true;
  }
  return false;
}

const ACTS = {
  "/": search,
  j: () => move(1),
  k: () => move(-1),
  "?": openHelp,
  p: () => (seen(byId("feed-pause")) ? togglePause() : false),
  h: () => (route.view === "session" ? orderSession() : false),
};

const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]");

export function setUpKeys(isIn, goBack) {
  const on = byId("keys-on");
  try {
    on.checked = localStorage.getItem(STORED) !== "off";
  } catch {
    on.checked = true;
  }
  on.addEventListener("change", () => {
    try {
      localStorage.setItem(STORED, on.checked ? "on" : "off");
    } catch {
      // The choice then lasts until the page is left.
    }
  });
  document.addEventListener("keydown", (pressed) => {
    if (pressed.defaultPrevented || pressed.ctrlKey || pressed.metaKey || pressed.altKey || pressed.isComposing) return;
    // Dialogs and what is popped up close by themselves.
    if (!isIn() || document.querySelector("dialog[open], :popover-open")) return;
    if (pressed.key === "Escape") {
      if (escape(goBack)) pressed.preventDefault();
      return;
    }
    if (typing(pressed.target)) return;
    if (pressed.key === "Enter") {
      if (openRow()) pressed.preventDefault();
      return;
    }
    if (!on.checked) return;
    const view = VIEWS[Number(pressed.key) - 1];
    if (view) {
      pressed.preventDefault();
      go(hrefTo(view));
    } else if (Object.hasOwn(ACTS, pressed.key) && ACTS[pressed.key]() !== false) {
      pressed.preventDefault();
    }
  });
}

