// Into memory and out of it. A file or a pasted list is read by the proxy, looked at line by line, and written only then;
// a whole import can be undone.
import { call, request } from "./api.js";
import { date } from "./dates.js";
import { button, el, icon, skeleton } from "./dom.js";
import { IMPORT, SETTINGS } from "./strings.js";
import { failed, toast } from "./toast.js";

const BATCH = 50; // lines of a request, so that others are not held up
const SHOWN = 30; // lines of each outcome
const LAST = "rememberd.import";

export function importing(changed) {
  const file = el("input", { id: "import", type: "file", class: "hidden-file", onchange: chosen });
  const pasted = el("textarea", { id: "paste", rows: 5, placeholder: IMPORT.pasteExample, dir: "auto" });
  const result = el("div", { class: "import", role: "status" });

  function chosen() {
    if (file.files.length) look(file.files[0], file.files[0].name);
    file.value = "";
  }

  async function look(content, name) {
    result.replaceChildren(skeleton(2), el("p", { class: "muted" }, IMPORT.reading));
    try {
      const { lines, unreadable, error } = await readFile(content, name);
      if (error) throw new Error(error);
      if (!lines.length) throw new Error(IMPORT.nothing);
      const found = [];
      const refused = [];
      for (let at = 0; at < lines.length; at += BATCH) {
        const { data, errors } = await send(lines.slice(at, at + BATCH), "dry_run=true");
        found.push(...data);
        refused.push(...errors.map(({ line, message }) => ({ outcome: "refuse", text: IMPORT.line(at + line, message) })));
        result.replaceChildren(el("p", { class: "muted" }, IMPORT.checked(Math.min(at + BATCH, lines.length))));
      }
      result.replaceChildren(...preview([...found, ...refused], unreadable, () => bring(lines, name)));
    } catch (error) {
      result.replaceChildren(el("p", { class: "problem", role: "alert" }, error.message));
    }
  }

  function preview(found, unreadable, go) {
    const piles = Map.groupBy(found, ({ outcome }) => outcome);
    const some = found.filter(({ outcome }) => outcome !== "refuse").length;
    const shown = Object.keys(IMPORT.outcome)
      .filter((name) => piles.has(name))
      .map((name) => pile(name, piles.get(name)));
    return [
      el("h3", {}, IMPORT.preview),
      ...shown,
      unreadable.length ? el("p", { class: "problem" }, IMPORT.unreadable(unreadable.length)) : "",
      el(
        "div",
        { class: "row" },
        button(IMPORT.go(some), { class: "button primary", onclick: go, disabled: !some }),
        button(IMPORT.cancel, { onclick: () => result.replaceChildren() }),
      ),
    ];
  }

  async function bring(lines, name) {
    const id = crypto.randomUUID();
    const total = { added: 0, merged: 0, exchanges: 0, errors: 0 };
    const bar = el("progress", { max: lines.length, value: 0, "aria-label": IMPORT.title });
    const said = el("p", { class: "muted" });
    result.replaceChildren(bar, said);
    try {
      for (let at = 0; at < lines.length; at += BATCH) {
        const { added, merged, turns, errors } = await send(lines.slice(at, at + BATCH), `import_id=${id}`);
        localStorage.setItem(LAST, JSON.stringify({ id, name, at: new Date().toISOString() }));
        total.added += added;
        total.merged += merged + turns.known.length;
        total.exchanges += turns.queued.length;
        total.errors += errors.length;
        bar.value = Math.min(at + BATCH, lines.length);
        said.textContent = IMPORT.progress(bar.value, lines.length);
      }
      toast(IMPORT.done(total), { stays: 9000 });
      result.replaceChildren(el("p", {}, IMPORT.done(total)), last());
    } catch (error) {
      result.replaceChildren(el("p", { class: "problem", role: "alert" }, error.message), last());
    }
    changed();
  }

  function last() {
    const kept = JSON.parse(localStorage.getItem(LAST) ?? "null");
    if (!kept) return el("div", {});
    const undo = async () => {
      try {
        const undone = await call("DELETE", `v1/memories/imports/${kept.id}`);
        if (!undone.pending) localStorage.removeItem(LAST);
        result.replaceChildren(el("p", {}, IMPORT.undone(undone)), last());
        changed();
      } catch (error) {
        if (error.status === 404) localStorage.removeItem(LAST);
        failed(error);
      }
    };
    return el(
      "div",
      { class: "row" },
      el("span", { class: "muted" }, IMPORT.last(kept.name, date(kept.at))),
      button(IMPORT.undo, { onclick: undo }, icon("history")),
    );
  }

  const paste = (event) => {
    event.preventDefault();
    if (!pasted.value.trim()) return pasted.focus();
    look(new Blob([pasted.value]), `${IMPORT.pasted}.txt`);
  };
  const copy = () => navigator.clipboard.writeText(IMPORT.prompt).then(() => toast(IMPORT.copied, { stays: 2500 }), failed);
  result.append(last());
  const content = el(
    "div",
    { class: "editor" },
    el("p", { class: "muted" }, IMPORT.about),
    button(IMPORT.choose, { class: "button primary", onclick: () => file.click() }, icon("plus")),
    el("label", { for: "import", class: "visually-hidden" }, IMPORT.file),
    file,
    el("p", { class: "muted" }, IMPORT.promptAbout),
    el("pre", { class: "block prompt", tabindex: "0" }, IMPORT.prompt),
    button(IMPORT.copy, { onclick: copy }),
    el("form", { class: "editor", onsubmit: paste }, el("label", { for: "paste" }, IMPORT.pasteLabel), pasted, button(IMPORT.look, { type: "submit" })),
    result,
  );
  return { content, focus: (what) => (what === "paste" ? pasted.focus() : content.querySelector(".primary").focus()) };
}

function pile(name, found) {
  const rows = found.slice(0, SHOWN).map(({ text, ends = [], facts = [] }) =>
    el(
      "li",
      { dir: "auto" },
      text,
      [...facts, ...ends.map(IMPORT.ends)].map((each) => el("span", { class: "muted" }, each)),
    ),
  );
  const more = found.length - rows.length;
  return el(
    "details",
    { class: `outcome ${name}`, open: ["add", "replace", "refuse", "quarantine"].includes(name) },
    el("summary", {}, el("strong", {}, String(found.length)), IMPORT.outcome[name], icon("chevron")),
    el("ul", {}, rows, more > 0 ? el("li", { class: "muted" }, IMPORT.more(more)) : null),
  );
}

async function readFile(content, name) {
  const response = await request(`v1/memories/import/read?${new URLSearchParams({ name })}`, { method: "POST", body: content });
  const lines = (await response.text()).trimEnd().split("\n");
  return { ...JSON.parse(lines.pop()).read, lines };
}

// All lines of a batch may be refused: then the answer is a 400 that names the first.
async function send(lines, asked) {
  try {
    const response = await request(`v1/memories/import?${asked}`, { method: "POST", body: lines.join("\n") });
    return await response.json();
  } catch (error) {
    if (error.status !== 400) throw error;
    const [, line, message] = /^line (\d+): (.*)$/s.exec(error.message) ?? [null, "1", error.message];
    const errors = [{ line: Number(line), message }];
    return { data: [], errors, added: 0, merged: 0, turns: { queued: [], known: [], skipped: [] } };
  }
}

const NAMES = { ndjson: "memories.ndjson", mem: "memories.mem.zip", pam: "memory-store.json" };

export function exporting() {
  const take = (format) => async () => {
    try {
      const response = await request(`v1/memories/export?format=${format}`);
      const link = el("a", { href: URL.createObjectURL(await response.blob()), download: NAMES[format] });
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (error) {
      failed(error);
    }
  };
  const formats = Object.entries(SETTINGS.outFormats);
  return el("div", { class: "row" }, formats.map(([format, label]) => button(label, { onclick: take(format) })));
}
