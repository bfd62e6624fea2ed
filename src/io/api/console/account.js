// Who is signed in: the form for it, what the token may, and the appearance.

import { Refused, get, loadToken, setToken, setWho, who } from "./api.js";
import { byId, put } from "./dom.js";

const TOKEN = /^[\x21-\x7e]+$/;

function showSignIn(error) {
  document.body.classList.remove("starting");
  for (const id of ["nav", "tools", "pending", "news", "view-error"]) byId(id).hidden = true;
  for (const view of document.querySelectorAll(".view")) view.hidden = true;
  byId("account").hidePopover();
  byId("sign-in").hidden = false;
  put(byId("sign-in-error"), error);
  put(byId("status"), "Signed out");
  byId("status").className = "";
  document.title = "Sign in – Haltline";
  byId("token").focus();
}

export function showWho() {
  put(byId("account-name"), who.open ? "no tokens set up" : (who.name ?? "signed in"));
  put(byId("who-name"), who.open ? "nobody: this Haltline has no tokens, so it listens on this machine only" : (who.name ?? "–"));
  put(byId("who-scopes"), who.scopes.join(", ") || "nothing");
  put(byId("who-tenant"), who.tenant ?? "all");
  byId("sign-out").hidden = who.open;
  byId("tenant-label").hidden = Boolean(who.tenant);
  byId("tenant-bound").hidden = !who.tenant;
  put(byId("tenant-bound"), who.tenant ? `tenant ${who.tenant}` : "");
}

// Asks who this is. True when somebody is in; otherwise the form is shown.
export async function askWho(given) {
  try {
    setWho(await get("/v1/whoami"));
    return true;
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401) throw error;
    setToken(null);
    showSignIn(given ? "This token is not accepted: it is not one of this Haltline, or it has expired." : "");
    return false;
  }
}

export function signOut(error = "") {
  setToken(null);
  setWho(null);
  showSignIn(error);
}

export function signedIn() {
  document.body.classList.remove("starting");
  byId("sign-in").hidden = true;
  byId("token").value = "";
  byId("token-show").checked = false;
  byId("token").type = "password";
  for (const id of ["nav", "tools"]) byId(id).hidden = false;
  showWho();
}

async function submit(onIn) {
  const text = byId("token").value.trim();
  if (!TOKEN.test(text)) {
    put(byId("sign-in-error"), "Expected a token, such as hl_ and 43 characters, without blanks.");
    return byId("token").focus();
  }
  const send = byId("sign-in-send");
  send.disabled = true;
  put(byId("sign-in-error"), "");
  setToken(text);
  try {
    if (await askWho(true)) onIn();
  } catch (error) {
    setToken(null);
    put(byId("sign-in-error"), `Not signed in: ${error.message}`);
  } finally {
    send.disabled = false;
  }
}

export function setUpAccount(onIn, onOut) {
  loadToken();
  byId("sign-in").addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    submit(onIn);
  });
  byId("token-show").addEventListener("change", (changed) => {
    byId("token").type = changed.target.checked ? "text" : "password";
  });
  byId("sign-out").addEventListener("click", onOut);
  for (const radio of document.querySelectorAll("#theme input")) {
    radio.checked = radio.value === window.haltlineTheme.get();
    radio.addEventListener("change", () => window.haltlineTheme.set(radio.value));
  }
}
