// A list of any length, newest first, grouped by day if `days`. It is fetched page by page as it comes into view, and
// only the pages near the window are in the DOM: of the others a gap of their height remains.
import { get } from "./api.js";
import { card } from "./card.js";
import { day } from "./dates.js";
import { button, el, errorState, skeleton } from "./dom.js";
import { MEMORIES } from "./strings.js";
import { isDeleted } from "./undo.js";

const PAGE = 50;
const NEAR = "1200px 0px";

// `filter` are query parameters; `onend(total)` is called when everything was fetched. With `first`, a number, so many
// are shown, and each next page when it is asked for.
export function timeline(filter, { days = true, first, onend = () => {}, onchange = () => {} } = {}) {
  const list = el("div", { class: "timeline" });
  const foot = el("div", { class: "foot" });
  const pages = new Map();
  let cursor = null;
  let lastDay = "";
  let total = 0;
  let state = "idle";

  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (entry.target === foot) entry.isIntersecting && !(first && total) && more();
        else if (entry.isIntersecting) fill(pages.get(entry.target));
        else if (entry.target.isConnected && entry.target.offsetHeight) clear(pages.get(entry.target));
      }
    },
    { rootMargin: NEAR },
  );

  async function more() {
    if (state !== "idle") return;
    state = "busy";
    foot.replaceChildren(skeleton(total ? 2 : 6));
    try {
      const { data, next_cursor } = await get(`v1/memories?${query()}`);
      foot.replaceChildren();
      if (data.length) append(data);
      cursor = next_cursor;
      state = cursor ? "idle" : "ended";
      if (state === "ended") onend(total);
      else if (first) foot.replaceChildren(button(MEMORIES.more, { class: "button quiet", onclick: more }));
      else again();
    } catch (error) {
      state = "failed";
      foot.replaceChildren(errorState(error, retry));
    }
  }

  function retry() {
    state = "idle";
    more();
  }

  // The observer tells of changes only: where the foot is still in view nothing changed.
  function again() {
    observer.unobserve(foot);
    observer.observe(foot);
  }

  function query() {
    return new URLSearchParams({ ...filter, limit: (!total && first) || PAGE, ...(cursor && { cursor }) });
  }

  function append(memories) {
    const element = el("div", { class: "page" });
    const page = { element, memories, before: lastDay };
    lastDay = day(memories.at(-1).created_at);
    total += memories.length;
    pages.set(element, page);
    list.append(element);
    fill(page);
    observer.observe(element);
  }

  function fill(page) {
    if (page.element.childElementCount) return;
    page.element.replaceChildren(...groups(page));
    page.element.style.minHeight = "";
  }

  function clear(page) {
    page.element.style.minHeight = `${page.element.offsetHeight}px`;
    page.element.replaceChildren();
  }

  function groups(page) {
    const rows = (memories) =>
      memories.filter(({ id }) => !isDeleted(id)).map((memory) => card(memory, { onchange, picks: true, ondraw: (next) => keep(page, memory.id, next) }));
    if (!days) return [el("ul", {}, rows(page.memories))];
    const found = [];
    let current = page.before;
    for (const memory of page.memories) {
      const title = day(memory.created_at);
      if (title !== current || !found.length) found.push({ title, memories: [] });
      current = title;
      found.at(-1).memories.push(memory);
    }
    return found.map(({ title, memories }) => {
      const head = title === page.before ? null : el("h2", { class: "day" }, title);
      return el("section", { class: "group", "aria-label": title }, head, el("ul", {}, rows(memories)));
    });
  }

  function keep(page, id, next) {
    page.memories = page.memories.flatMap((memory) => (memory.id !== id ? [memory] : next ? [next] : []));
  }

  observer.observe(foot);
  return { element: el("div", {}, list, foot), stop: () => observer.disconnect() };
}
