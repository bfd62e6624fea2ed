// Prometheus' text format, read and remembered for a quarter of an hour, and what follows from it.

import { getText } from "./api.js";

export const SPAN_MS = 15 * 60_000;
// A quantile is that of the events of the last half minute.
const WINDOW_MS = 30_000;
const LINE = /^(haltline_\w+)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export const samples = [];

export function parse(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    const match = LINE.exec(line);
    if (!match) continue;
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(LABEL)].map(([, key, value]) => [key, value]));
    if (!found.has(match[1])) found.set(match[1], []);
    found.get(match[1]).push({ labels, value: Number(match[3].replace("+Inf", "Infinity")) });
  }
  return found;
}

const values = (found, name) => (found.get(name) ?? []).map((one) => one.value);
const sum = (found, name) => values(found, name).reduce((total, value) => total + value, 0);
const most = (found, name) => (found.has(name) ? Math.max(...values(found, name)) : null);

function buckets(found, name) {
  const bounds = (found.get(`${name}_bucket`) ?? []).map(({ labels, value }) => ({ le: Number(labels.le.replace("+Inf", "Infinity")), value }));
  return bounds.sort((a, b) => a.le - b.le);
}

function quantiles(found, name) {
  return Object.fromEntries((found.get(name) ?? []).map(({ labels, value }) => [labels.quantile, value]));
}

function sampleOf(found, at) {
  return {
    at,
    found,
    events: sum(found, "haltline_events_total"),
    halts: sum(found, "haltline_halts_total"),
    afterHalt: sum(found, "haltline_events_after_halt_total"),
    lag: found.has("haltline_kafka_consumer_lag") ? sum(found, "haltline_kafka_consumer_lag") : null,
    lagSeconds: most(found, "haltline_kafka_consumer_lag_seconds"),
    event: buckets(found, "haltline_event_latency_seconds"),
    halt: buckets(found, "haltline_halt_latency_seconds"),
    eventSinceStart: quantiles(found, "haltline_event_latency_quantile_seconds"),
    haltSinceStart: quantiles(found, "haltline_halt_latency_quantile_seconds"),
  };
}

export async function refreshMetrics() {
  const found = parse(await getText("/metrics"));
  // Only of the latest one all is of interest.
  if (samples.length > 0) samples.at(-1).found = null;
  samples.push(sampleOf(found, Date.now()));
  while (samples.length > 0 && samples[0].at < Date.now() - SPAN_MS) samples.shift();
}

export function forgetMetrics() {
  samples.length = 0;
}

// ── what follows from them ──

// A counter that has become smaller belongs to a process that was started anew.
const grown = (now, before) => (now < before ? now : now - before);

// The growth of a counter between each sample and the one before it, by the second where `bySecond`.
export function growth(of, bySecond) {
  return samples.map((sample, i) => {
    const before = samples[i - 1];
    if (!before || sample.at <= before.at) return { at: sample.at, value: null };
    const value = grown(sample[of], before[of]);
    return { at: sample.at, value: bySecond ? (value * 1000) / (sample.at - before.at) : value };
  });
}

export const plainSeries = (of) => samples.map((sample) => ({ at: sample.at, value: sample[of] }));

// The value below which the share `q` of what was counted between two looks at a histogram lies.
function quantileBetween(now, before, q) {
  const restarted = now.some((bucket, i) => bucket.value < (before[i]?.value ?? 0));
  const counts = now.map((bucket, i) => ({ le: bucket.le, value: bucket.value - (restarted ? 0 : (before[i]?.value ?? 0)) }));
  const total = counts.at(-1)?.value ?? 0;
  if (total === 0) return null;
  const wanted = q * total;
  const i = counts.findIndex((bucket) => bucket.value >= wanted);
  const low = i > 0 ? counts[i - 1] : { le: 0, value: 0 };
  // What is above the last bound is only known to be above it.
  if (!Number.isFinite(counts[i].le)) return low.le;
  const share = counts[i].value > low.value ? (wanted - low.value) / (counts[i].value - low.value) : 1;
  return low.le + (counts[i].le - low.le) * share;
}

export function latency(of, q) {
  return samples.map((sample, i) => {
    if (i === 0) return { at: sample.at, value: null };
    let from = i - 1;
    while (from > 0 && samples[from].at > sample.at - WINDOW_MS) from -= 1;
    return { at: sample.at, value: quantileBetween(sample[of], samples[from][of], q) };
  });
}

export const latestOf = (series) => series.findLast((point) => point.value !== null)?.value ?? null;

// ── words for numbers ──

export function seconds(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0 s";
  if (value < 0.001) return `${digits(value * 1e6)} µs`;
  if (value < 1) return `${digits(value * 1e3)} ms`;
  if (value < 120) return `${digits(value)} s`;
  return `${digits(value / 60)} min`;
}

export function digits(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 10_000) return new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 }).format(value);
  const places = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString(undefined, { maximumFractionDigits: places });
}
