// Keys for those who use no mouse: they work wherever nobody is writing.
import { showDialog } from "./dialog.js";
import { button, el } from "./dom.js";
import { KEYS } from "./strings.js";
import { undoLast } from "./undo.js";

const writing = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, dialog[open]");
const current = () => document.activeElement?.closest(".card");

const ACTIONS = {
  "/": () => document.querySelector("main input[type=search]")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  e: () => act("edit"),
  "#": () => act("delete"),
  x: () => current()?.querySelector(".pick input")?.click(),
  u: undoLast,
  "?": showKeys,
};

window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target) || !(event.key in ACTIONS)) return;
  event.preventDefault();
  ACTIONS[event.key]();
});

function step(by) {
  const rows = [...document.querySelectorAll("main .words")].filter((each) => each.offsetParent);
  const at = rows.indexOf(current()?.querySelector(".words"));
  rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))]?.focus();
}

const act = (what) => current()?.dispatchEvent(new CustomEvent("card-action", { detail: what }));

export function showKeys() {
  const rows = Object.entries(KEYS.list).map(([key, about]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, about)));
  const form = el(
    "form",
    { method: "dialog" },
    el("dl", { class: "keys" }, rows),
    button(KEYS.close, { type: "submit", class: "button primary" }),
  );
  showDialog(KEYS.title, form);
}
