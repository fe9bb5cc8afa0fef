// Many memories at once: a bar with what can be done to all that are selected.
import { focusSomewhere, showDialog } from "./dialog.js";
import { button, el, icon } from "./dom.js";
import { SELECT, UNDO } from "./strings.js";
import { failed } from "./toast.js";
import { changeMemories, deleteMemories, moveMemories } from "./undo.js";

const chosen = new Map();

export const isSelected = (id) => chosen.has(id);

export function select(memory, on) {
  if (on) chosen.set(memory.id, memory);
  else chosen.delete(memory.id);
  draw();
}

export function clearSelection() {
  if (!chosen.size) return;
  chosen.clear();
  for (const box of document.querySelectorAll(".pick input:checked")) box.checked = false;
  draw();
  focusSomewhere();
}

function selectAll() {
  const boxes = [...document.querySelectorAll("main .pick input:not(:checked)")];
  for (const box of boxes) if (box.offsetParent) box.click();
  document.querySelector(".selection button").focus(); // the bar is a new one
}

function draw() {
  document.querySelector(".selection")?.remove();
  document.body.classList.toggle("selecting", chosen.size > 0);
  if (!chosen.size) return;
  const run = (action) => async () => {
    if ((await action([...chosen.values()])) !== false) clearSelection();
  };
  const bar = el(
    "div",
    { class: "selection", role: "toolbar", "aria-label": SELECT.bar },
    el("strong", { role: "status" }, SELECT.count(chosen.size)),
    button(SELECT.pin, { onclick: run((all) => changeMemories(all, { pinned: true }, UNDO.pinned(all.length))) }, icon("pin")),
    button(
      SELECT.private,
      { onclick: run((all) => changeMemories(all, { private: true }, UNDO.private(all.length))) },
      icon("lock"),
    ),
    button(SELECT.move, { onclick: () => move([...chosen.values()]) }),
    button(SELECT.delete, { class: "button danger", onclick: run(deleteMemories) }, icon("trash")),
    button(SELECT.all, { class: "button quiet", onclick: selectAll }),
    button(SELECT.clear, { class: "button quiet", onclick: clearSelection }),
  );
  document.getElementById("main").append(bar);
}

function move(memories) {
  const scope = el("input", { id: "scope", required: true, pattern: "@?[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}", autocomplete: "off" });
  const go = async (event) => {
    event.preventDefault();
    try {
      await moveMemories(memories, scope.value.trim());
      clearSelection();
    } catch (error) {
      failed(error);
    }
    dialog.close();
  };
  const buttons = el(
    "div",
    { class: "row" },
    button(SELECT.moveGo, { type: "submit", class: "button primary" }),
    button(UNDO.cancel, { onclick: () => dialog.close() }),
  );
  const form = el(
    "form",
    { onsubmit: go },
    el("p", { class: "muted" }, SELECT.moveAbout),
    el("label", { for: "scope" }, SELECT.moveLabel),
    scope,
    buttons,
  );
  const dialog = showDialog(SELECT.moveTitle(memories.length), form);
}
