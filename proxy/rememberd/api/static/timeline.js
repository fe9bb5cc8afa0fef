// A list of any length, newest first, grouped by day. It is fetched page by page as it comes into view, and only the
// pages near the window are in the DOM: of the others a gap of their height remains.
import { get } from "./api.js";
import { card } from "./card.js";
import { day, el, errorState, skeleton } from "./dom.js";
import { isGoing } from "./forget.js";

const PAGE = 50;
const NEAR = "1200px 0px";

// `filter` are query parameters; `onend(total)` is called when everything was fetched.
export function timeline(filter, { onend = () => {}, onchange = () => {} } = {}) {
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
        if (entry.target === foot) entry.isIntersecting && more();
        else if (entry.isIntersecting) fill(pages.get(entry.target));
        else if (entry.target.isConnected) clear(pages.get(entry.target));
      }
    },
    { rootMargin: NEAR },
  );

  async function more() {
    if (state !== "idle") return;
    state = "busy";
    foot.replaceChildren(skeleton(total ? 2 : 6));
    try {
      const { data, next_cursor } = await get(`v1/memories?${query(cursor, PAGE)}`);
      foot.replaceChildren();
      if (data.length) append(data, cursor);
      cursor = next_cursor;
      state = cursor ? "idle" : "ended";
      if (state === "ended") onend(total);
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

  function query(from, limit) {
    return new URLSearchParams({ ...filter, limit, ...(from && { cursor: from }) });
  }

  function append(memories, from) {
    const element = el("div", { class: "page" });
    const page = {
      element,
      memories: memories.filter((memory) => !isGoing(memory.id)),
      from,
      before: lastDay,
      stale: false,
    };
    lastDay = day(memories.at(-1).created_at);
    total += memories.length;
    pages.set(element, page);
    list.append(element);
    fill(page);
    observer.observe(element);
  }

  async function fill(page) {
    if (page.element.childElementCount === 0) draw(page);
    if (page.stale) await refresh(page);
  }

  function draw(page) {
    page.element.replaceChildren(...groups(page));
    page.element.style.minHeight = "";
  }

  function clear(page) {
    page.element.style.minHeight = `${page.element.offsetHeight}px`;
    page.element.replaceChildren();
  }

  function groups(page) {
    const days = [];
    let current = page.before;
    for (const memory of page.memories) {
      if (day(memory.created_at) !== current || !days.length)
        days.push({ title: day(memory.created_at), memories: [] });
      current = days.at(-1).title;
      days.at(-1).memories.push(memory);
    }
    return days.map(({ title, memories }) => {
      const rows = memories.map((memory) =>
        card(memory, { onchange, ongone: gone, ondraw: (next) => keep(page, memory.id, next) }),
      );
      const head = title === page.before ? null : el("h2", { class: "day" }, title);
      return el("section", { class: "group", "aria-label": title }, head, el("ul", {}, rows));
    });
  }

  function keep(page, id, next) {
    page.memories = page.memories.flatMap((memory) => (memory.id !== id ? [memory] : next ? [next] : []));
  }

  // What says the same went with it: the pages look again which of theirs are left, those out of view when they are back.
  function gone() {
    for (const page of pages.values()) {
      page.stale = true;
      if (page.element.childElementCount) refresh(page);
    }
    onchange();
  }

  async function refresh(page) {
    page.stale = false;
    const known = new Set(page.memories.map((memory) => memory.id));
    if (!known.size) return;
    const { data } = await get(`v1/memories?${query(page.from, PAGE)}`).catch(() => ({ data: page.memories }));
    page.memories = data.filter((memory) => known.has(memory.id) && !isGoing(memory.id));
    for (const row of page.element.querySelectorAll("[data-memory]")) {
      if (!page.memories.some((memory) => memory.id === row.dataset.memory) && !isGoing(row.dataset.memory))
        row.remove();
    }
  }

  observer.observe(foot);
  return { element: el("div", {}, list, foot), stop: () => observer.disconnect() };
}
