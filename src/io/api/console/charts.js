// Small charts of the last quarter of an hour, drawn with elements, and the numbers on top of the sessions.

import { add, byId, count, el, link, put, span } from "./dom.js";
import { whyNot } from "./api.js";
import { SPAN_MS, digits, growth, latency, latestOf, plainSeries, samples, seconds } from "./metrics.js";
import { hrefTo, route } from "./route.js";

const HEIGHT = 150;
const LEFT = 52;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 20;
// A hole of more than this many milliseconds is shown as one.
const HOLE_MS = 40_000;

// The shortest of these, in minutes, that holds all that is known is shown.
const SPANS = [2, 5, 10, SPAN_MS / 60_000];

const CHARTS = [
  { id: "events", title: "Events per second", words: digits, series: () => [{ label: "events/s", points: growth("events", true) }] },
  { id: "halts", title: "Halts", words: digits, bars: true, series: () => [{ label: "halts", points: growth("halts", false) }] },
  { id: "event", title: "Event to decision", words: seconds, since: "eventSinceStart", series: () => quantiles("event") },
  { id: "halt", title: "Event to durable halt", words: seconds, since: "haltSinceStart", series: () => quantiles("halt") },
  { id: "lag", title: "Consumer lag, records", words: digits, none: "No Kafka source here.", series: () => [{ label: "records", points: plainSeries("lag") }] },
  { id: "lag-seconds", title: "Consumer lag, age", words: seconds, none: "No Kafka source here.", series: () => [{ label: "oldest", points: plainSeries("lagSeconds") }] },
];

const quantiles = (of) => [
  { label: "p50 (dashed)", points: latency(of, 0.5), dashed: true },
  { label: "p99", points: latency(of, 0.99) },
];

// The page holds one drawing already; its name for the language of drawings saves writing that here.
const shape = (name, attributes) => {
  const made = document.createElementNS(byId("seed").namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const text = (words, attributes) => {
  const made = shape("text", attributes);
  made.textContent = words;
  return made;
};

// The next larger of 1, 2 and 5 times a power of ten.
function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * power >= value * 0.999) * power;
}

// ── one chart ──

function scaleOf(width, series, least, now) {
  const all = series.flatMap((one) => one.points).map((point) => point.value).filter((value) => value !== null);
  const most = roundUp(Math.max(...all, least));
  const minutes = SPANS.find((one) => now - one * 60_000 <= samples[0]?.at) ?? SPANS.at(-1);
  const x = (at) => LEFT + (1 - (now - at) / (minutes * 60_000)) * (width - LEFT - RIGHT);
  const y = (value) => TOP + (1 - value / most) * (HEIGHT - TOP - BOTTOM);
  return { x, y, most, width, now, minutes };
}

function axes(scale, words) {
  const parts = [];
  for (const value of [0, scale.most / 2, scale.most]) {
    const y = Math.round(scale.y(value)) + 0.5;
    parts.push(shape("line", { x1: LEFT, x2: scale.width - RIGHT, y1: y, y2: y, class: "grid" }));
    parts.push(text(words(value), { x: LEFT - 6, y: y + 4, class: "tick", "text-anchor": "end" }));
  }
  for (const minutes of [scale.minutes, scale.minutes / 2, 0]) {
    const x = scale.x(scale.now - minutes * 60_000);
    const anchor = minutes === scale.minutes ? "start" : minutes === 0 ? "end" : "middle";
    parts.push(text(minutes === 0 ? "now" : `−${minutes} min`, { x, y: HEIGHT - 5, class: "tick", "text-anchor": anchor }));
  }
  return parts;
}

// A line for each stretch without a hole; a single point becomes a dot.
function lines(scale, { points, dashed }) {
  const stretches = [];
  let last = null;
  for (const point of points) {
    if (point.value === null) {
      last = null;
      continue;
    }
    if (last === null || point.at - last.at > HOLE_MS) stretches.push([]);
    stretches.at(-1).push(`${scale.x(point.at).toFixed(1)} ${scale.y(point.value).toFixed(1)}`);
    last = point;
  }
  return stretches.map((stretch) => {
    if (stretch.length > 1) return shape("path", { d: `M${stretch.join("L")}`, class: dashed ? "series dashed" : "series" });
    const [cx, cy] = stretch[0].split(" ");
    return shape("circle", { cx, cy, r: 2, class: "dot" });
  });
}

function bars(scale, { points }) {
  return points
    .filter((point) => point.value > 0)
    .map((point) => {
      const y = scale.y(point.value);
      return shape("rect", { x: scale.x(point.at) - 2, y, width: 4, height: HEIGHT - BOTTOM - y, class: "bar" });
    });
}

function nowText(chart, series) {
  const parts = series.map((one) => {
    const latest = chart.bars ? one.points.reduce((total, point) => total + (point.value ?? 0), 0) : latestOf(one.points);
    return chart.bars ? `${chart.words(latest)} in this time` : `${one.label} ${chart.words(latest)}`;
  });
  const start = chart.since ? samples.at(-1)?.[chart.since] : null;
  if (start?.["0.99"] > 0) parts.push(`since start p50 ${seconds(start["0.5"])}, p99 ${seconds(start["0.99"])}`);
  return parts.join(" · ");
}

function draw(chart, figure) {
  const series = chart.series();
  const empty = series.every((one) => one.points.every((point) => point.value === null));
  const drawing = figure.querySelector("svg");
  const width = Math.max(240, Math.floor(figure.clientWidth - 24));
  const scale = scaleOf(width, series, chart.bars ? 2 : 0, samples.at(-1)?.at ?? Date.now());
  Object.assign(figure, { scale, series });
  drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const shapes = empty ? [] : series.flatMap((one) => (chart.bars ? bars(scale, one) : lines(scale, one)));
  drawing.replaceChildren(...axes(scale, chart.words), ...shapes);
  const waiting = samples.length < 2 ? "Waiting for the next measurement…" : (chart.none ?? "No events in this time.");
  const now = empty ? waiting : nowText(chart, series);
  put(figure.querySelector(".now"), now);
  drawing.setAttribute("aria-label", `${chart.title}, last ${scale.minutes} minutes: ${now}`);
  point(chart, figure);
}

// ── reading a value off ──

// Shows the values at the place that pointer or keys have chosen.
function point(chart, figure) {
  const drawing = figure.querySelector("svg");
  drawing.querySelector(".cross")?.remove();
  const points = figure.series[0].points;
  const chosen = points[Math.min(figure.chosen ?? -1, points.length - 1)];
  if (!chosen) return;
  const x = Math.round(figure.scale.x(chosen.at)) + 0.5;
  const cross = shape("g", { class: "cross" });
  cross.append(shape("line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
  const words = figure.series.map((one) => `${one.label} ${chart.words(one.points[points.indexOf(chosen)]?.value)}`).join(" · ");
  put(figure.querySelector(".now"), `${new Date(chosen.at).toLocaleTimeString()}: ${words}`);
  drawing.append(cross);
}

function choose(chart, figure, index) {
  figure.chosen = index;
  if (index === null) draw(chart, figure);
  else point(chart, figure);
}

function nearest(figure, clientX) {
  const box = figure.querySelector("svg").getBoundingClientRect();
  const x = ((clientX - box.left) / box.width) * figure.scale.width;
  const points = figure.series[0].points;
  let best = 0;
  points.forEach((one, i) => {
    if (Math.abs(figure.scale.x(one.at) - x) < Math.abs(figure.scale.x(points[best].at) - x)) best = i;
  });
  return best;
}

function onKey(chart, figure, pressed) {
  const last = figure.series[0].points.length - 1;
  const at = figure.chosen ?? last;
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[pressed.key];
  if (to === undefined) return;
  pressed.preventDefault();
  choose(chart, figure, Math.max(0, Math.min(last, to)));
}

function figureOf(chart) {
  const figure = el("figure", "chart");
  figure.id = `chart-${chart.id}`;
  const drawing = shape("svg", { role: "img", tabindex: "0", height: HEIGHT, preserveAspectRatio: "none" });
  const now = el("span", "now");
  now.setAttribute("aria-live", "off");
  figure.append(add(el("figcaption"), el("strong", "", chart.title), now), drawing);
  drawing.addEventListener("pointermove", (moved) => figure.series && choose(chart, figure, nearest(figure, moved.clientX)));
  drawing.addEventListener("pointerleave", () => figure.series && choose(chart, figure, null));
  drawing.addEventListener("keydown", (pressed) => figure.series && onKey(chart, figure, pressed));
  drawing.addEventListener("blur", () => figure.series && choose(chart, figure, null));
  return figure;
}

// ── the view ──

function facts() {
  const found = samples.at(-1)?.found;
  if (!found) return [];
  const total = (name, fits = () => true) => (found.get(name) ?? []).filter((one) => fits(one.labels)).reduce((sum, one) => sum + one.value, 0);
  const least = (name) => (found.has(name) ? Math.min(...found.get(name).map((one) => one.value)) : null);
  const version = found.get("haltline_build_info")?.[0]?.labels.version ?? "–";
  const oldest = total("haltline_webhook_oldest_pending_seconds");
  return [
    ["Version", version],
    ["Ready", total("haltline_ready") === 1 ? "yes" : "no", total("haltline_ready") !== 1],
    ["Shards", count(total("haltline_shards"))],
    ["Windows complete", { 1: "yes", 0: "not yet" }[least("haltline_window_complete")] ?? "–", least("haltline_window_complete") === 0],
    ["Sessions with state", count(total("haltline_sessions"))],
    ["Halted", count(total("haltline_sessions_halted"))],
    ["Events", count(total("haltline_events_total"))],
    ["Events after a halt", count(total("haltline_events_after_halt_total")), total("haltline_events_after_halt_total") > 0],
    ["Rejected records", count(total("haltline_events_rejected_total"))],
    ["Gate: denied", count(total("haltline_gate_requests_total", (labels) => labels.decision === "deny"))],
    ["Webhooks pending", count(total("haltline_webhook_pending"))],
    ["Oldest webhook pending", oldest > 0 ? span(oldest) : "–", oldest > 60],
    ["Ledger errors", count(total("haltline_ledger_errors_total")), total("haltline_ledger_errors_total") > 0],
    ["Rules", count(total("haltline_rules"))],
  ];
}

export function showCharts() {
  const why = whyNot("read", { allTenants: true });
  put(byId("health-note"), why ? `This ${why}.` : "of the process that answers here, since this page was opened");
  byId("charts").hidden = Boolean(why);
  byId("health-facts").hidden = Boolean(why);
  if (why) return;
  if (byId("charts").childElementCount === 0) byId("charts").append(...CHARTS.map(figureOf));
  for (const chart of CHARTS) draw(chart, byId(`chart-${chart.id}`));
  const pairs = facts().map(([label, value, bad]) => add(el("div"), el("dt", "", label), el("dd", bad ? "warned" : "", value)));
  byId("health-facts").replaceChildren(...pairs);
}

// ── the numbers on top ──

function spark(series) {
  const drawing = shape("svg", { class: "spark", viewBox: "0 0 80 24", width: 80, height: 24, "aria-hidden": "true", preserveAspectRatio: "none" });
  const points = series.filter((point) => point.value !== null).slice(-60);
  if (points.length < 2) return drawing;
  const most = Math.max(...points.map((point) => point.value), 1e-9);
  const path = points.map((point, i) => `${((i * 80) / (points.length - 1)).toFixed(1)} ${(22 - (point.value / most) * 20).toFixed(1)}`);
  drawing.append(shape("path", { d: `M${path.join("L")}`, class: "series" }));
  return drawing;
}

function numbersOf(answer) {
  const cells = [{ label: "Halted", value: answer ? count(answer.halted) : "–", bad: answer?.halted > 0, href: hrefTo("sessions", [], { state: "halted" }) }];
  if (whyNot("read", { allTenants: true }) || samples.length === 0) return cells;
  const health = hrefTo("health");
  const [rate, p99] = [growth("events", true), latency("event", 0.99)];
  const last = samples.at(-1);
  const lagging = last.lag === null ? null : plainSeries("lag");
  cells.push({ label: "Events/s", value: digits(latestOf(rate)), series: rate, href: health });
  cells.push({ label: "Event to decision, p99", value: seconds(latestOf(p99) ?? last.eventSinceStart["0.99"] ?? null), series: p99, href: health });
  if (lagging) cells.push({ label: "Lag", value: `${digits(last.lag)} · ${seconds(last.lagSeconds)}`, series: lagging, href: health, bad: last.lagSeconds > 30 });
  const after = growth("afterHalt", false).reduce((total, point) => total + (point.value ?? 0), 0);
  if (after > 0) cells.push({ label: "Events after a halt, 15 min", value: count(after), bad: true, href: hrefTo("sessions", [], { state: "halted" }) });
  return cells;
}

export function showNumbers(answer) {
  if (route.view !== "sessions") return;
  const cells = numbersOf(answer).map((cell) => {
    const value = link(cell.href, cell.bad ? "value alarm" : "value", cell.value);
    return add(el("div"), el("dt", "", cell.label), add(el("dd"), value, cell.series ? spark(cell.series) : null));
  });
  const held = [...byId("numbers").querySelectorAll("a")].indexOf(document.activeElement);
  byId("numbers").replaceChildren(...cells);
  if (held >= 0) byId("numbers").querySelectorAll("a")[held]?.focus();
}

export function setUpCharts() {
  const again = () => route.view === "health" && !byId("view-health").hidden && samples.length > 0 && showCharts();
  new ResizeObserver(again).observe(byId("charts"));
}
