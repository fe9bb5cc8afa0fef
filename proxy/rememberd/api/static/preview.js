// What a message would recall: the memories, why each goes in, what a remote model would not get, and what came near.
import { call, get } from "./api.js";
import { card } from "./card.js";
import { button, el, errorState, skeleton } from "./dom.js";
import { PREVIEW } from "./strings.js";

export function previewView() {
  const area = el("textarea", { id: "message", rows: 2, dir: "auto", placeholder: PREVIEW.example, onkeydown: enter });
  const models = el("select", { id: "preview-model" }, el("option", { value: "" }, PREVIEW.anyModel));
  const result = el("div", { "aria-live": "polite" });

  function enter(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      look();
    }
  }

  async function look(event) {
    event?.preventDefault();
    if (!area.value.trim()) return area.focus();
    result.replaceChildren(skeleton(3));
    try {
      const asked = { text: area.value, ...(models.value && { model: models.value }) };
      result.replaceChildren(...shown(await call("POST", "v1/memories/preview", asked)));
    } catch (error) {
      result.replaceChildren(errorState(error, look));
    }
  }

  async function show() {
    area.focus();
    if (models.options.length > 1) return;
    const { data } = await get("v1/models").catch(() => ({ data: [] }));
    models.append(...data.filter(({ id }) => !id.includes("*")).map(({ id }) => el("option", { value: id }, id)));
  }

  const form = el(
    "form",
    { class: "editor", onsubmit: look },
    el("label", { for: "message" }, PREVIEW.label),
    area,
    el("label", { for: "preview-model" }, PREVIEW.model),
    models,
    button(PREVIEW.go, { type: "submit", class: "button primary" }),
  );
  const head = el("div", { class: "head" }, el("h1", {}, PREVIEW.title));
  return { element: el("div", { class: "view" }, head, el("p", { class: "muted" }, PREVIEW.lead), form, result), show };
}

function shown({ status, block, tokens, recall_ms, memories, withheld, left_out }) {
  if (status === "degraded") return [el("div", { class: "failure", role: "alert" }, el("p", {}, PREVIEW.degraded))];
  const summary = el(
    "div",
    { class: "verdict" },
    el("h2", {}, PREVIEW.would(memories.length)),
    el("p", { class: "muted" }, memories.length ? PREVIEW.cost(tokens, recall_ms) : PREVIEW.none),
  );
  const parts = [summary, scored(memories), block ? exact(block) : null];
  if (withheld.length) parts.push(el("h2", { class: "day" }, PREVIEW.withheld), el("p", { class: "muted" }, PREVIEW.withheldAbout), scored(withheld));
  if (left_out.length) parts.push(el("h2", { class: "day" }, PREVIEW.near), scored(left_out));
  return parts.filter(Boolean);
}

function exact(block) {
  return el(
    "details",
    { class: "went hit" },
    el("summary", {}, PREVIEW.block),
    el("pre", { class: "block", dir: "auto", tabindex: "0" }, block),
  );
}

function scored(memories) {
  return el(
    "ul",
    { class: "scored" },
    memories.map((memory) => {
      const row = card(memory, { actions: false });
      row.append(why(memory));
      return row;
    }),
  );
}

// Cosines of what belongs together lie between about .2 and .8 with this embedder.
function why({ reason, score, tokens }) {
  const fill = el("span", { class: "fill" });
  fill.style.width = `${Math.round(Math.max(0, Math.min(1, score ?? 0)) * 100)}%`;
  const bar = score === null ? null : el("span", { class: "bar", "aria-hidden": "true" }, fill);
  const said = [PREVIEW.because(reason, score), PREVIEW.tokens(tokens)].filter(Boolean).join(" · ");
  return el("p", { class: "score" }, bar, el("span", {}, said));
}
