// Deleting, changing and moving memories with one way back. The last action is kept in this tab, so that it can still be
// undone after a look at another tab or a reload.
import { call, session } from "./api.js";
import { showDialog } from "./dialog.js";
import { button, el } from "./dom.js";
import { UNDO } from "./strings.js";
import { failed, toast } from "./toast.js";

const KEY = "rememberd.undo";
const SHOWN = 8; // memories that a confirmation names

export const lastAction = () => {
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  return kept?.scope === session.space ? kept : null;
};

let close = () => {}; // the message that offers the last undo

function keep(action, said) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ ...action, said, scope: session.space }));
  } catch {
    sessionStorage.removeItem(KEY); // more than a tab may store: then there is no way back
  }
  close();
  close = toast(said, lastAction() ? { action: UNDO.undo, onaction: undoLast } : {});
  const gone = action.memories?.map(({ id }) => id);
  for (const id of gone ?? []) deleted.add(id);
  changed(gone);
}

// Everything that lists memories listens to this. `gone` are ids; without any the list is drawn again.
const changed = (gone) => window.dispatchEvent(new CustomEvent("memories-changed", { detail: gone }));

const deleted = new Set();
export const isDeleted = (id) => deleted.has(id);

export async function undoLast() {
  const action = lastAction();
  if (!action) return toast(UNDO.nothing, { stays: 2500 });
  sessionStorage.removeItem(KEY);
  close();
  for (const { id } of action.memories ?? []) deleted.delete(id);
  try {
    await WAYS_BACK[action.type](action);
    toast(UNDO.undone, { stays: 2500 });
  } catch (error) {
    failed(error);
  }
  changed();
}

const WAYS_BACK = {
  delete: ({ memories }) => call("POST", "v1/memories/restore", { memories }),
  change: ({ before }) => call("POST", "v1/memories/edit", { changes: before }),
  move: ({ ids, from, to }) => call("POST", "v1/memories/move", { ids, scope: from }, { "X-Memory-Scope": to }),
};

// Says first what else would go. Resolves to whether it was done.
export async function deleteMemories(memories) {
  const ids = memories.map(({ id }) => id);
  try {
    const { data } = await call("POST", "v1/memories/delete", { ids, dry_run: true });
    const others = data.filter((each) => !each.asked);
    if ((others.length || ids.length > 1) && !(await confirmed(data, others))) return false;
    const gone = (await call("POST", "v1/memories/delete", { ids })).data;
    keep({ type: "delete", memories: gone }, gone.length === 1 ? UNDO.deletedOne(short(gone[0])) : UNDO.deleted(gone.length));
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

export async function changeMemories(memories, fields, said) {
  try {
    const { data } = await call("POST", "v1/memories/edit", { changes: memories.map(({ id }) => ({ id, ...fields })) });
    keep({ type: "change", before: data.map(({ id, before }) => ({ id, ...before })) }, said);
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

export async function moveMemories(memories, scope) {
  const { ids, scope: to } = await call("POST", "v1/memories/move", { ids: memories.map(({ id }) => id), scope });
  keep({ type: "move", ids: Object.values(ids), from: session.space || "default", to }, UNDO.moved(memories.length, to));
}

const short = ({ text }) => (text.length > 60 ? `${text.slice(0, 57)}…` : text);

function confirmed(all, others) {
  return new Promise((resolve) => {
    const listed = (others.length ? others : all).slice(0, SHOWN);
    const left = (others.length || all.length) - listed.length;
    const form = el(
      "form",
      { method: "dialog" },
      others.length ? el("p", {}, UNDO.confirmText(others.length)) : null,
      el("ul", { class: "going" }, listed.map((each) => el("li", { dir: "auto" }, short(each)))),
      left > 0 ? el("p", { class: "muted" }, UNDO.more(left)) : null,
      el(
        "div",
        { class: "row" },
        button(UNDO.confirm(all.length), { type: "submit", value: "delete", class: "button danger solid" }),
        button(UNDO.cancel, { type: "submit", value: "" }),
      ),
    );
    const dialog = showDialog(UNDO.confirmTitle(all.length), form);
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"));
  });
}
