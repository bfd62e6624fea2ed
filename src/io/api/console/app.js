// The console: who is in, which view is shown, when the server is asked, and what is said when it does not answer.
// Text of agents is attackers' text: see text.js for how it gets into the page.

import { askWho, setUpAccount, showWho, signOut, signedIn } from "./account.js";
import { Gone, Refused, get, heard, path, whyNot, who } from "./api.js";
import { setUpCharts, showCharts, showNumbers } from "./charts.js";
import { enterConfirmations, forgetConfirmations, refreshConfirmations, refreshPending, setUpConfirmations, showPending, tickConfirmations } from "./confirmations.js";
import { closeDialogs, setUpDialogs } from "./dialogs.js";
import { add, byId, clock, el, put, serverNow, tick } from "./dom.js";
import { enterFeed, setUpFeed } from "./findings.js";
import { setUpKeys } from "./keys.js";
import { findings, forget, onLive, setUpLive, showNews, startStreams, stopStreams } from "./live.js";
import { forgetMetrics, refreshMetrics } from "./metrics.js";
import { go, hrefTo, readRoute, route, setQuery, tenantWanted } from "./route.js";
import { enterSession, leaveSession, refreshSession } from "./session.js";
import { enterSessions, forgetSessions, markOpen, refreshSessions, setUpSessions } from "./sessions.js";
import { enterTable, forgetTables, guardTables, refreshAudit, refreshRules, refreshWebhooks, setUpTables } from "./tables.js";

const EVERY_MS = 3000;
const HIDDEN_MS = 15_000;
// Between two rounds of which the second was asked for during the first.
const AGAIN_MS = 200;
const METRICS_MS = 5000;
const STREAMS_KEPT_HIDDEN_MS = 20_000;
const WHO_EVERY = 20;

// ── what a view needs, and asks ──

// What the view is not for with this token, or null.
const refusals = {
  webhooks: () => whyNot("read", { allTenants: true }),
  audit: () => whyNot("admin"),
  health: () => whyNot("read", { allTenants: true }),
};
const whyNotView = (view) => (refusals[view] ?? (() => whyNot("read")))();

let sessionsAnswer = null;

async function asSessions() {
  sessionsAnswer = await refreshSessions();
  noteTenants(sessionsAnswer.sessions ?? []);
  showNumbers(sessionsAnswer);
}

const asks = {
  sessions: () => [asSessions],
  session: () => [refreshSession, asSessions],
  findings: () => [],
  confirmations: () => [refreshConfirmations],
  rules: () => [refreshRules],
  webhooks: () => [refreshWebhooks],
  audit: () => [refreshAudit],
  health: () => [],
};

async function refreshHalted() {
  const answer = await get(path("/v1/halts", [], { tenant: tenantWanted(), limit: 1 }));
  haltedNow = answer.total ?? 0;
  showTitle();
}

let metricsAt = 0;
async function metricsNow() {
  if (whyNot("read", { allTenants: true }) || Date.now() - metricsAt < METRICS_MS - 500) return;
  metricsAt = Date.now();
  await refreshMetrics();
  if (route.view === "health") showCharts();
  showNumbers(sessionsAnswer);
}

// ── rounds of asking ──

let life = 0;
let rounds = 0;
let lastGood = null;
let holdUntil = 0;
let wake = () => {};
let again = false;

function kick() {
  again = true;
  wake();
}

async function roundOf() {
  rounds += 1;
  if (rounds % WHO_EVERY === 0 && (await askWho(true))) {
    showWho();
    guardTables();
  }
  const read = whyNot("read") === null;
  const view = whyNotView(route.view) === null ? asks[route.view]() : [];
  const all = read ? [refreshPending, refreshHalted, metricsNow, ...view] : view;
  const settled = await Promise.allSettled(all.map((ask) => ask()));
  // Of the first round a part may be on the page before the connection goes: it has an age, too.
  const shown = settled.some((one, i) => one.status === "fulfilled" && all[i] !== metricsNow);
  if (shown && lastGood === null) lastGood = serverNow();
  return settled.filter((one) => one.status === "rejected").map((one) => one.reason);
}

async function loop() {
  const mine = ++life;
  while (life === mine) {
    again = false;
    const errors = await roundOf().catch((error) => [error]);
    if (life !== mine) return;
    await judge(errors);
    const calm = document.hidden ? HIDDEN_MS : EVERY_MS;
    const ms = Math.max(again ? AGAIN_MS : calm, holdUntil - Date.now());
    await new Promise((done) => {
      const timer = setTimeout(done, ms);
      wake = () => holdUntil < Date.now() && (clearTimeout(timer), done());
    });
  }
}

// ── the state of the connection ──

async function waitingFor() {
  const answer = await fetch("/readyz", { cache: "no-store" }).then((one) => one.json()).catch(() => null);
  return answer?.waiting?.length ? `waiting for ${answer.waiting.join(", ")}` : "not ready yet";
}

const asOf = () => (lastGood === null ? "" : ` What is shown is as of ${clock(lastGood)}.`);

async function judge(errors) {
  const gone = errors.find((error) => error instanceof Gone);
  const refused = errors.filter((error) => error instanceof Refused && error.status !== 401);
  const busy = refused.find((error) => error.status === 429);
  const unready = refused.find((error) => error.code === "not_ready");
  holdUntil = busy ? Date.now() + Math.max(busy.retryAfterMs, 1000) : 0;
  if (gone) {
    say("bad", "No connection", `No answer from Haltline (${gone.message}).${asOf()} Trying again.`);
  } else if (unready) {
    say("bad", "Not ready", `Haltline is ${await waitingFor()}: who is halted is not known yet.${asOf()}`);
  } else if (busy) {
    say("bad", "Slowed down", `Too many requests with this token: asking again at ${clock(holdUntil)}.${asOf()}`);
  } else {
    lastGood = errors.length === 0 ? serverNow() : lastGood;
    say("good", "Live", "");
  }
  const own = refused.filter((error) => error !== busy && error !== unready);
  const other = errors.filter((error) => !(error instanceof Gone || error instanceof Refused));
  viewError([...own, ...other]);
}

function say(kind, short, long) {
  const status = byId("status");
  put(status, short);
  status.className = kind;
  put(byId("banner"), long);
  byId("banner").hidden = long === "";
  document.body.classList.toggle("stale", long !== "");
}

function viewError(errors) {
  const box = byId("view-error");
  const why = whyNotView(route.view);
  const texts = new Set(errors.map((error) => error.message));
  const text = why ? `Not to be seen with this token: this view ${why}.` : [...texts].join(" · ");
  const old = text !== "" && !why && errors.some((error) => error.status >= 500);
  put(box, old ? `${text}.${asOf()}` : text);
  box.hidden = text === "";
  byId("main").classList.toggle("old", old);
}

// ── tenants ──

const tenants = new Set();

function noteTenants(found) {
  const before = tenants.size;
  for (const one of found) if (typeof one?.tenant === "string" && tenants.size < 500) tenants.add(one.tenant);
  if (tenants.size !== before) showTenants();
}

function showTenants() {
  const select = byId("tenant");
  const wanted = tenantWanted();
  if (wanted) tenants.add(wanted);
  const options = [...tenants].sort().map((tenant) => {
    const option = add(el("option"), tenant);
    option.value = tenant;
    return option;
  });
  const all = add(el("option"), "all");
  all.value = "";
  select.replaceChildren(all, ...options);
  select.value = wanted;
}

function onTenant() {
  setQuery({ tenant: byId("tenant").value });
  enter(false);
}

// ── the address ──

let haltedNow = 0;
let tenantBefore = "";
let viewBefore = null;
let listHref = "#/sessions";
let openedBefore = "";

function showTitle() {
  const names = { session: `${route.names[1]} – session` };
  const view = names[route.view] ?? route.view[0].toUpperCase() + route.view.slice(1);
  const title = el("span", "", view).textContent.slice(0, 80);
  document.title = `${haltedNow > 0 ? `(${haltedNow}) ` : ""}${title} – Haltline`;
}

function showView() {
  const shared = ["sessions", "session", "findings"].includes(route.view);
  const refused = whyNotView(route.view) !== null;
  for (const view of document.querySelectorAll(".view")) {
    view.hidden = refused || view.id !== (shared ? "view-sessions" : `view-${route.view}`);
  }
  document.body.dataset.view = route.view;
  byId("session-pane").hidden = route.view !== "session";
  byId("feed-pane").hidden = route.view === "session";
  const current = route.view === "session" ? "sessions" : route.view;
  for (const link of byId("nav").children) {
    link.href = hrefTo(link.dataset.view);
    if (link.dataset.view === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("nav").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

// Brings what the address says onto the page. `focus` where a person has asked for it.
function enter(focus) {
  readRoute();
  if (who.tenant && tenantWanted()) setQuery({ tenant: "" });
  if (tenantWanted() !== tenantBefore) {
    tenantBefore = tenantWanted();
    forgetData();
    startStreams();
  }
  showTenants();
  showView();
  const from = viewBefore;
  viewBefore = route.view;
  let other = from !== route.view;
  if (route.view === "session") {
    if (["sessions", "findings"].includes(from)) listHref = route.before;
    other = enterSession(kick, listHref) || other;
    openedBefore = JSON.stringify(route.names);
  } else {
    leaveSession();
  }
  markOpen();
  if (route.view === "sessions") enterSessions();
  if (["sessions", "findings"].includes(route.view)) {
    enterFeed();
  }
  if (route.view === "confirmations") enterConfirmations();
  if (["rules", "webhooks", "audit"].includes(route.view)) enterTable(route.view);
  if (route.view === "health") showCharts();
  showNumbers(sessionsAnswer);
  showPending();
  showTitle();
  viewError([]);
  if (focus && other) focusView(from);
  kick();
}

function focusView(from) {
  const row = [...byId("sessions").children].find((one) => one.dataset.key === openedBefore);
  const target = from === "session" && route.view === "sessions" ? row?.querySelector("[data-row]") : null;
  const heading = byId(`${route.view === "findings" ? "feed" : route.view}-title`);
  if (!target) window.scrollTo(0, 0);
  (target ?? heading)?.focus({ preventScroll: !target });
}

// From a session back to the list that it was opened from; the focus goes to its row there.
const goBack = () => go(route.view === "webhooks" ? hrefTo("webhooks") : listHref || "#/sessions");

// ── in and out ──

function forgetData() {
  sessionsAnswer = null;
  haltedNow = 0;
  forget();
  forgetSessions();
  forgetConfirmations();
  forgetTables();
}

function start() {
  signedIn();
  guardTables();
  tenantBefore = null;
  viewBefore = null;
  lastGood = null;
  metricsAt = 0;
  enter(false);
  loop();
}

function stop(error) {
  life += 1;
  stopStreams();
  closeDialogs();
  leaveSession();
  forgetData();
  forgetMetrics();
  tenants.clear();
  say("", "Signed out", "");
  signOut(error);
}

async function boot() {
  try {
    if (await askWho(false)) start();
    else say("", "Signed out", "");
  } catch (error) {
    say("bad", "No connection", `Haltline does not say who may sign in: ${error.message}. Trying again.`);
    setTimeout(boot, Math.max(2000, error.retryAfterMs ?? 0));
  }
}

// ── set-up ──

function setUpHearing() {
  heard.refused = (error) => {
    if (error.status === 401 && viewBefore !== null && byId("sign-in").hidden) {
      stop("Signed out: the token is not accepted any more. It may have expired or been taken out of the settings.");
    }
  };
  let soon = 0;
  onLive((what) => {
    if (what.has("findings")) noteTenants(findings.list.slice(0, 50));
    if (!["sessions", "session"].includes(route.view) || soon) return;
    soon = setTimeout(() => {
      soon = 0;
      kick();
    }, what.has("halts") ? 300 : 1500);
  });
}

function setUpVisibility() {
  let later = 0;
  let stopped = false;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(later);
    if (!byId("sign-in").hidden || viewBefore === null) return;
    if (document.hidden) {
      // A browser keeps six connections to a server at most, over all tabs: hidden ones give theirs back.
      later = setTimeout(() => {
        stopped = true;
        stopStreams();
      }, STREAMS_KEPT_HIDDEN_MS);
    } else {
      if (stopped) startStreams();
      stopped = false;
      kick();
    }
  });
}

function setUp() {
  setUpHearing();
  setUpVisibility();
  setUpDialogs();
  setUpLive();
  setUpFeed();
  setUpCharts();
  setUpSessions(kick);
  setUpConfirmations(kick);
  setUpTables(kick);
  setUpAccount(start, () => stop(""));
  setUpKeys(() => byId("sign-in").hidden, goBack);
  byId("tenant").addEventListener("change", onTenant);
  byId("skip").addEventListener("click", (clicked) => {
    clicked.preventDefault();
    byId("main").focus();
  });
  window.addEventListener("hashchange", () => byId("sign-in").hidden && viewBefore !== null && enter(true));
  window.addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
  });
  setInterval(() => {
    tick();
    tickConfirmations();
    showNews();
  }, 1000);
}

setUp();
boot();
