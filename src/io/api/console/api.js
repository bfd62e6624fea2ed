// Everything that goes to the server: the token, one request, streams that come back by themselves.

import { setSkew } from "./dom.js";

const ANSWER_MS = 10_000;
const SILENCE_MS = 45_000;
const STREAM_LINE_MAX = 4 << 20;
const TOKEN_KEY = "haltline.token";

// ── who is asking ──

let token = null;

export function loadToken() {
  token = sessionStorage.getItem(TOKEN_KEY);
  return token !== null;
}

export function setToken(text) {
  token = text;
  if (text === null) sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, text);
}

export const who = { name: null, scopes: [], tenant: null, open: false };

export function setWho(answer) {
  who.name = answer?.name ?? null;
  who.scopes = Array.isArray(answer?.scopes) ? answer.scopes : [];
  who.tenant = answer?.tenant ?? null;
  who.open = answer?.open === true;
}

export const may = (scope) => who.scopes.includes("admin") || who.scopes.includes(scope);

// Why a thing is not possible with this token, or null where it is.
export function whyNot(scope, { allTenants = false } = {}) {
  if (!may(scope)) return `needs the scope “${scope}”, and this token has ${who.scopes.join(", ") || "none"}`;
  if (allTenants && who.tenant) return `covers all tenants, and this token is bound to ${who.tenant}`;
  return null;
}

// ── one request ──

export class Refused extends Error {
  constructor(status, code, message, retryAfterMs, body) {
    super(message);
    Object.assign(this, { status, code, retryAfterMs, body });
  }
}

// No answer at all: the network, the process, or too slow.
export class Gone extends Error {}

// Told of every refusal: a token that is not accepted any more ends all, wherever it was noticed.
export const heard = { refused: () => {} };

function retryAfterMs(answer) {
  const seconds = Number(answer.headers.get("retry-after"));
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 600) * 1000 : 0;
}

function noteClock(answer) {
  const at = Date.parse(answer.headers.get("date") ?? "");
  // The header has whole seconds; half a second of error is fine for countdowns.
  if (Number.isFinite(at)) setSkew(Math.abs(at + 500 - Date.now()) < 2000 ? 0 : at + 500 - Date.now());
}

function headers(more) {
  return token === null ? more : { ...more, authorization: `Bearer ${token}` };
}

async function send(path, options, more) {
  try {
    const answer = await fetch(path, {
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      ...options,
      headers: headers(more),
    });
    noteClock(answer);
    return answer;
  } catch (error) {
    throw new Gone(error.name === "TimeoutError" ? "no answer in time" : "no connection", { cause: error });
  }
}

async function refusal(path, answer) {
  const body = await answer.json().catch(() => null);
  const code = String(body?.error?.code ?? `status_${answer.status}`);
  const message = String(body?.error?.message ?? `${path} answered with status ${answer.status}`);
  return new Refused(answer.status, code, message, retryAfterMs(answer), body);
}

async function request(path, options, more, read) {
  try {
    const answer = await send(path, { ...options, signal: AbortSignal.timeout(ANSWER_MS) }, more);
    if (!answer.ok) throw await refusal(path, answer);
    return await read(answer).catch((error) => {
      throw new Gone("the answer broke off", { cause: error });
    });
  } catch (error) {
    if (error instanceof Refused) heard.refused(error);
    throw error;
  }
}

const asJson = (answer) => answer.json();
export const get = (path) => request(path, {}, { accept: "application/json" }, asJson);
export const getText = (path) => request(path, {}, {}, (answer) => answer.text());

export const post = (path, body) =>
  request(path, { method: "POST", body: JSON.stringify(body) }, { "content-type": "application/json" }, asJson);

// A path with the values of `names` in place of its `{}` and those of `query` that are set. Names come from agents.
export function path(template, names = [], query = {}) {
  let next = 0;
  const made = template.replaceAll("{}", () => {
    const value = String(names[next++]);
    if (value === "." || value === "..") {
      throw new Error(`a browser cannot ask for a session named “${value}”: use the API or the command line`);
    }
    return encodeURIComponent(value.toWellFormed?.() ?? value);
  });
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value) params.set(key, value);
  const text = params.toString();
  return text ? `${made}?${text}` : made;
}

// ── streams ──

// Reads server-sent events from the chunks of a body and calls `onEvent({id, event, data})` for each.
export async function readEvents(body, onBytes, onEvent) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let fields = { event: "", data: [], id: undefined };
  const line = (text) => {
    if (text === "") {
      if (fields.data.length > 0) onEvent({ id: fields.id, event: fields.event || "message", data: fields.data.join("\n") });
      fields = { event: "", data: [], id: undefined };
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "data") fields.data.push(value);
    else if (field === "event") fields.event = value;
    else if (field === "id" && !value.includes("\0")) fields.id = value;
  };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes();
    rest += value;
    // A carriage return at the end may be the first half of a line's end.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    if (rest.length > STREAM_LINE_MAX) throw new Error("a line of the stream is too long");
    lines.forEach(line);
  }
}

const pause = (ms, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });

// Follows a stream until `stop()`: comes back after every end with the last id, more slowly each time.
// `onState` hears `live`, `waiting` (with `ms`), or `closed` (with `why`) when coming back makes no sense.
export function follow(pathOf, { from, onEvent, onState }) {
  const stopped = new AbortController();
  let lastId = from;
  let failures = 0;

  async function once() {
    const connection = new AbortController();
    const onStop = () => connection.abort();
    stopped.signal.addEventListener("abort", onStop, { once: true });
    let timer = 0;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => connection.abort(), SILENCE_MS);
    };
    try {
      alive();
      const more = { accept: "text/event-stream", ...(lastId === undefined ? {} : { "last-event-id": lastId }) };
      const answer = await send(pathOf(), { signal: connection.signal }, more);
      if (!answer.ok) throw await refusal(pathOf(), answer);
      onState("live");
      await readEvents(answer.body, alive, (event) => {
        failures = 0;
        if (event.id !== undefined) lastId = event.id;
        onEvent(event);
      });
    } finally {
      clearTimeout(timer);
      stopped.signal.removeEventListener("abort", onStop);
      connection.abort();
    }
  }

  async function run() {
    while (!stopped.signal.aborted) {
      let wait = 0;
      try {
        await once();
      } catch (error) {
        if (stopped.signal.aborted) return;
        if (error instanceof Refused) {
          heard.refused(error);
          if (error.status < 500 && error.status !== 429 && error.status !== 408) return onState("closed", error.message);
          wait = error.retryAfterMs;
        }
      }
      if (stopped.signal.aborted) return;
      failures += 1;
      const backoff = Math.min(500 * 2 ** (failures - 1), 30_000) * (0.75 + Math.random() / 2);
      const ms = Math.max(wait, backoff);
      onState("waiting", ms);
      await pause(ms, stopped.signal);
    }
  }

  run();
  return { stop: () => stopped.abort(), lastId: () => lastId };
}
