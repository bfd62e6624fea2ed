// The address of a view: `#/session/TENANT/ID?…`. Everything that one may want to send to a colleague is in it.

import { byId } from "./dom.js";

export const VIEWS = ["sessions", "findings", "confirmations", "rules", "webhooks", "audit", "health"];

// `before` is the address that was left, with all that was filtered there.
export const route = { view: "sessions", names: [], query: new URLSearchParams(), href: "", before: "" };

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Reads the address; anything unknown is the sessions' list.
export function readRoute() {
  if (route.href !== location.hash) route.before = route.href;
  route.href = location.hash;
  const [place, query] = location.hash.replace(/^#/, "").split(/\?(.*)/s);
  const [, view, ...names] = place.split("/");
  const known = VIEWS.includes(view) || (view === "session" && names.length === 2 && names[1] !== "");
  route.view = known ? view : "sessions";
  route.names = known ? names.map(decoded) : [];
  route.query = new URLSearchParams(query ?? "");
}

export const tenantWanted = () => route.query.get("tenant") ?? "";

// An address with these parts; the tenant that is looked at goes along.
export function hrefTo(view, names = [], query = {}) {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries({ tenant: tenantWanted(), ...query })) if (value) params.set(key, value);
  const text = params.toString();
  return `#/${[view, ...names.map((name) => encodeURIComponent(String(name).toWellFormed?.() ?? name))].join("/")}${text ? `?${text}` : ""}`;
}

export const sessionHref = (tenant, session) => hrefTo("session", [tenant, session]);

export function go(href) {
  location.hash = href;
}

// Changes parts of the address in place, without a new step in the history.
export function setQuery(changes) {
  const query = { ...Object.fromEntries(route.query), ...changes };
  const href = hrefTo(route.view, route.names, query);
  if (href === location.hash) return;
  history.replaceState(null, "", href);
  route.href = href;
  readRoute();
}

// Ties a select or an input to a part of the address.
export function bindQuery(id, key, fallback, changed, wait = 0) {
  const input = byId(id);
  let timer = 0;
  input.addEventListener(input.type === "search" ? "input" : "change", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      setQuery({ [key]: input.value === fallback ? "" : input.value });
      changed();
    }, wait);
  });
  return () => {
    const wanted = route.query.get(key) ?? fallback;
    if (document.activeElement !== input || input.value === "") input.value = wanted;
    // A value that the select does not know would leave it empty.
    if (input.value === "" && fallback !== "") input.value = fallback;
  };
}
