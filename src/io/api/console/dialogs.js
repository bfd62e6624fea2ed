// Dialogs: an order that needs a name and a reason, and the help.

import { Gone } from "./api.js";
import { add, byId, put } from "./dom.js";

const BY_KEY = "haltline.by";
let asked = null;

// Asks for a name and a reason and calls `send({by, reason})` with them; stays open, with what went wrong,
// until that has worked or the person gives up. `ask` has `title`, `what`, `more` (nodes), `label`, `danger`, `send`.
export function askOrder(ask) {
  asked = ask;
  put(byId("order-title"), ask.title);
  put(byId("order-what"), ask.what);
  byId("order-more").replaceChildren();
  add(byId("order-more"), ...(ask.more ?? []));
  byId("order-reason").value = "";
  byId("order-error").textContent = "";
  const send = byId("order-send");
  send.textContent = ask.label;
  send.className = ask.danger ? "danger" : "primary";
  send.disabled = false;
  byId("order-by").value ||= sessionStorage.getItem(BY_KEY) ?? "";
  byId("order").showModal();
  byId(byId("order-by").value ? "order-reason" : "order-by").focus();
}

function wrong(error) {
  if (error instanceof Gone) {
    return `No answer (${error.message}). It may have been carried out all the same: look at the state before you try again.`;
  }
  return `Not done: ${error.message}`;
}

async function submit() {
  const [by, reason] = ["order-by", "order-reason"].map((id) => byId(id).value.trim());
  const error = byId("order-error");
  if (by === "" || reason === "") {
    error.textContent = "A name and a reason are needed.";
    return byId(by === "" ? "order-by" : "order-reason").focus();
  }
  const send = byId("order-send");
  const ask = asked;
  send.disabled = true;
  error.textContent = "";
  try {
    await ask.send({ by, reason });
    sessionStorage.setItem(BY_KEY, by);
    if (asked === ask) byId("order").close();
  } catch (failed) {
    if (asked === ask) put(error, wrong(failed));
  } finally {
    if (asked === ask) send.disabled = false;
  }
}

export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

export function openHelp() {
  byId("help").showModal();
}

export function setUpDialogs() {
  byId("order-form").addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    submit();
  });
  byId("order-cancel").addEventListener("click", () => byId("order").close());
  byId("order").addEventListener("close", () => {
    asked = null;
  });
  byId("order-reason").addEventListener("keydown", (pressed) => {
    if (pressed.key === "Enter" && (pressed.ctrlKey || pressed.metaKey)) byId("order-form").requestSubmit();
  });
  byId("help-open").addEventListener("click", openHelp);
}
