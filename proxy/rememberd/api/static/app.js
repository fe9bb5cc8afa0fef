// Signing in, the frame around the views, and which of them is shown.
import { adminView } from "./admin.js";
import { answersView } from "./answers.js";
import { call, request, session } from "./api.js";
import { chatView } from "./chat.js";
import { connectView } from "./connect.js";
import { useTimeZone } from "./dates.js";
import { button, el, errorState, icon, iconButton } from "./dom.js";
import { showKeys } from "./keyboard.js";
import { memoriesView } from "./memories.js";
import { previewView } from "./preview.js";
import { settingsView } from "./settings.js";
import { GATE, VIEW } from "./strings.js";
import { usageView } from "./usage.js";

const PERSON = { memories: memoriesView, chat: chatView, preview: previewView, answers: answersView, connect: connectView, settings: settingsView };
const ADMIN = { admin: adminView, usage: usageView };

const root = document.getElementById("app");
let views = PERSON;
let opened = {};

async function start() {
  try {
    await session.load();
    const { admin, user } = session.account;
    const own = !admin || user; // the admin key opens no memories
    if (own) useTimeZone((await (await request("v1/memories/settings", { asksWho: true })).json()).time_zone);
    views = { ...(own && PERSON), ...(admin && ADMIN) };
    showFrame();
  } catch (error) {
    if (error.status === 401) showSignIn(error.code === "invalid_api_key" ? GATE.unknown : error.message);
    else if (error.code === "no_identity") showSignIn(GATE.several, true);
    else root.replaceChildren(el("main", { class: "gate", id: "main" }, brand(), errorState(error, start)));
  }
}

function brand() {
  return el("div", { class: "brand" }, icon("mark"), el("span", {}, "rememberd"));
}

function showSignIn(message, forSomebody = false) {
  opened = {};
  const key = el("input", {
    id: "key",
    type: "password",
    autocomplete: "current-password",
    required: true,
    value: session.key,
  });
  const user = el("input", { id: "user", autocomplete: "username", required: forSomebody });
  const submit = async (event) => {
    event.preventDefault();
    session.signIn(key.value.trim(), user.value.trim());
    await start();
  };
  const tried = session.key !== "";
  session.signOut();
  const form = el(
    "form",
    { onsubmit: submit },
    el("label", { for: "key" }, GATE.key),
    key,
    el("div", { hidden: !forSomebody }, el("label", { for: "user" }, GATE.user), user),
    tried ? el("p", { class: "problem", role: "alert" }, message) : null,
    button(GATE.submit, { type: "submit", class: `button wide ${session.account.available ? "" : "primary"}` }),
  );
  const signIn = session.account.available
    ? [el("a", { class: "button primary wide", href: "signin" }, GATE.signIn), el("p", { class: "muted" }, GATE.or)]
    : [];
  root.replaceChildren(
    el(
      "main",
      { class: "gate", id: "main" },
      brand(),
      el("h1", {}, GATE.title),
      ...signIn,
      form,
      el("p", { class: "muted" }, GATE.note),
    ),
  );
  (forSomebody ? user : key).focus();
}

function showFrame() {
  const links = Object.keys(views).map((name) =>
    el("a", { href: `#${name}`, "data-view": name }, icon(name), el("span", {}, VIEW[name])),
  );
  const known = session.key || session.account.user;
  const leave = known ? iconButton("leave", VIEW.signOut, { onclick: signOut }) : null;
  const space = session.space ? el("a", { class: "badge space", href: "#settings" }, VIEW.space(session.space)) : null;
  root.replaceChildren(
    el(
      "header",
      { class: "side" },
      brand(),
      space,
      el("nav", { "aria-label": VIEW.nav }, links),
      el("div", { class: "tools" }, themeButton(), iconButton("keys", VIEW.keys, { onclick: showKeys }), leave),
    ),
    el("main", { id: "main", tabindex: "-1" }),
  );
  route();
}

async function signOut() {
  const { url } = session.key ? {} : await call("DELETE", "signin/session");
  session.signOut();
  if (url) location.assign(url);
  else start();
}

function themeButton() {
  const dark = () =>
    document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const toggle = iconButton("moon", VIEW.theme, {
    onclick: () => {
      const next = dark() === "dark" ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      localStorage.setItem("rememberd.theme", next);
      draw();
    },
  });
  const draw = () => toggle.replaceChildren(icon(dark() === "dark" ? "sun" : "moon"));
  draw();
  return toggle;
}

function route() {
  const main = document.getElementById("main");
  if (!main || !root.querySelector("nav")) return;
  const [wanted, ...rest] = location.hash.slice(1).split("/");
  const name = wanted in views ? wanted : Object.keys(views)[0];
  const first = Object.keys(opened).length === 0;
  opened[name] ??= views[name]();
  main.replaceChildren(opened[name].element);
  document.title = `${VIEW[name]} · rememberd`;
  for (const link of root.querySelectorAll("nav a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!first) window.scrollTo(0, 0);
  opened[name].show(rest.join("/"));
  if (!first && document.activeElement === document.body) main.focus({ preventScroll: true });
}

const skip = document.querySelector(".skip");
skip.textContent = VIEW.skip;
skip.addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
window.addEventListener("hashchange", route);
window.addEventListener("space-entered", () => {
  opened = {};
  showFrame();
});
window.addEventListener("signed-out", (event) => showSignIn(event.detail));
start();
