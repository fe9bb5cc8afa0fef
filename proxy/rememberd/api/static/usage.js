// What was used and what it cost, for admins.
import { get } from "./api.js";
import { el, emptyState, errorState, number, skeleton } from "./dom.js";
import { USAGE } from "./strings.js";

const DAY_MS = 86_400_000;
const COUNTED = ["requests", "input_tokens", "cached_tokens", "output_tokens", "memory_tokens", "extraction_tokens"];

export function usageView() {
  const place = el("div", {}, skeleton(4));
  const days = choice("days", USAGE.days, USAGE.periods, "30");
  const by = choice("by", USAGE.by, USAGE.groups, "model");
  const head = el("div", {}, el("h1", {}, USAGE.title), el("p", { class: "muted" }, USAGE.lead));
  const element = el(
    "div",
    { class: "view usage" },
    el("div", { class: "head" }, head),
    el("div", { class: "row" }, days.label, by.label),
    place,
  );

  function choice(id, title, options, chosen) {
    const rows = Object.entries(options).map(([value, text]) => el("option", { value, selected: value === chosen }, text));
    const select = el("select", { id, onchange: load }, rows);
    return { label: el("label", { for: id }, title, select), select };
  }

  async function load() {
    const since = new Date(Date.now() - (days.select.value - 1) * DAY_MS).toISOString().slice(0, 10);
    const group = by.select.value;
    try {
      const [{ data }, { data: total }] = await Promise.all([
        get(`admin/usage?since=${since}&by=${group}`),
        get(`admin/usage?since=${since}&by=`),
      ]);
      if (!data.length) return place.replaceChildren(emptyState(USAGE.empty, USAGE.emptyText));
      place.replaceChildren(table(data, total, group), estimates(total));
    } catch (error) {
      place.replaceChildren(errorState(error, load));
    }
  }

  return { element, show: load };
}

function table(rows, total, group) {
  const titles = [USAGE.groups[group], ...COUNTED.map((name) => USAGE.columns[name]), USAGE.columns.cost_usd];
  const line = (name, row) =>
    el("tr", {}, el("th", { scope: "row" }, name), [...COUNTED.map((each) => number(row[each])), cost(row)].map((text, at) => el("td", { "data-name": titles[at + 1] }, text)));
  return el(
    "div",
    { class: "wide-table", tabindex: "0", role: "region", "aria-label": USAGE.title },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, rows.map((row) => line(row[group], row))),
      el("tfoot", {}, total.map((row) => line(USAGE.total, row))),
    ),
  );
}

const cost = ({ cost_usd: dollars }) => (dollars === null ? USAGE.unknown : dollars.toFixed(4));

function estimates([total]) {
  return el("p", { class: "muted" }, USAGE.note, " ", total.estimated_requests ? USAGE.estimated(total.estimated_requests) : null);
}
