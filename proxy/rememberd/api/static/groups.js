// Facts by topic or by person, each group with its count; the first ones are open. Of a group only the newest are shown
// at first, so that the next group is near.
import { get } from "./api.js";
import { el, errorState, icon, number, skeleton } from "./dom.js";
import { MEMORIES, TOPIC } from "./strings.js";
import { timeline } from "./timeline.js";

const FIRST = 10; // memories of a group
const OPEN = 40; // memories; as many as are seen at once

// `by` is "topic" or "person". `onempty` is called where there is no group.
export function groups(by, filter, { onchange, onempty }) {
  const place = el("div", {}, skeleton(5));
  const lists = [];
  const shown = [];

  async function load() {
    try {
      const found = await get("v1/memories/groups");
      const named = by === "topic" ? found.topics : found.people;
      if (!named.length) return onempty(found.total);
      let seen = 0;
      place.replaceChildren(
        ...named.map(({ name, count, also }) => {
          const open = seen < OPEN;
          seen += Math.min(count, FIRST);
          return group(name, count, open, also);
        }),
      );
    } catch (error) {
      place.replaceChildren(errorState(error, load));
    }
  }

  function group(name, count, open, also = []) {
    const called = also.length ? MEMORIES.also(also) : "";
    const title = by === "topic" ? (TOPIC[name] ?? name) : name.replace(/(^| )\p{L}/gu, (letter) => letter.toUpperCase()) + called;
    const badge = el("span", { class: "badge" }, number(count));
    const body = el("div", {});
    const fill = () => {
      if (!element.open || body.childElementCount) return;
      const list = timeline({ ...filter, kind: "fact", [by]: name }, { days: false, first: FIRST, onchange });
      lists.push(list);
      body.append(list.element);
    };
    const head = el("summary", {}, el("h2", {}, title), badge, icon("chevron"));
    const element = el("details", { class: "group topic", open, ontoggle: fill }, head, body);
    fill();
    shown.push({ body, badge, count });
    return element;
  }

  // These memories were deleted, and are still in the lists.
  function gone(ids) {
    for (const each of shown) {
      each.count -= ids.filter((id) => each.body.querySelector(`[data-memory="${CSS.escape(id)}"]`)).length;
      each.badge.textContent = number(each.count);
    }
  }

  load();
  return { element: place, stop: () => lists.forEach((list) => list.stop()), gone };
}

export const none = (by) => (by === "person" ? MEMORIES.noPeople : MEMORIES.noFacts);
