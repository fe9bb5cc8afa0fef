// Elements from text only: nothing on this page is ever parsed as HTML.
import { VIEW } from "./strings.js";

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "indeterminate", "selected"]);

export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  mark: "M5 19V9a7 7 0 0 1 14 0 M12 12.2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 1 0 0-5.6",
  memories: "M6 4v16 M6 7h13 M6 12h10 M6 17h12",
  chat: "M4 5h16v11H10l-5 4v-4H4z",
  preview: "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13 M15.5 15.5L20 20 M8 10.5h5",
  answers: "M6 3h12v18l-3-2-3 2-3-2-3 2z M9 8h6 M9 12h6",
  connect: "M9 7V3 M15 7V3 M6 7h12v4a6 6 0 0 1-12 0z M12 17v4",
  settings: "M4 7h9 M17 7h3 M15 5v4 M4 12h3 M11 12h9 M9 10v4 M4 17h11 M19 17h1 M17 15v4",
  usage: "M5 20v-7 M12 20V4 M19 20v-11",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13 M15.5 15.5L20 20",
  pin: "M9 4h6l-1 6 3 3H7l3-3z M12 13v7",
  trash: "M5 7h14 M10 7V4h4v3 M7 7l1 13h8l1-13",
  edit: "M5 19l1-4L16 5l3 3L9 18z",
  lock: "M6 11h12v9H6z M9 11V8a3 3 0 0 1 6 0v3",
  clock: "M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16 M12 8v4l3 2",
  history: "M4 12a8 8 0 1 0 3-6.2 M4 4v4h4 M12 8v4l3 2",
  chevron: "M8 10l4 4 4-4",
  plus: "M12 5v14 M5 12h14",
  send: "M5 12l15-7-5 15-3-6z",
  stop: "M7 7h10v10H7z",
  check: "M5 12l5 5 9-10",
  sun: "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8 M12 2v2 M12 20v2 M2 12h2 M20 12h2 M5 5l1.4 1.4 M17.6 17.6L19 19 M19 5l-1.4 1.4 M6.4 17.6L5 19",
  moon: "M19 14.5A8 8 0 0 1 9.5 5a8 8 0 1 0 9.5 9.5z",
  admin: "M12 3l7 3v6c0 4-3 7-7 9c-4-2-7-5-7-9V6z",
  leave: "M10 5H5v14h5 M10 12h10 M16 8l4 4-4 4",
  filter: "M4 6h16 M7 12h10 M10 18h4",
  keys: "M3 6h18v12H3z M7 10h.01 M11 10h.01 M15 10h.01 M8 14h8",
  close: "M6 6l12 12 M18 6L6 18",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export function button(label, properties = {}, ...children) {
  return el("button", { type: "button", class: "button", ...properties }, ...children, label);
}

export function iconButton(name, label, properties = {}) {
  return el(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, ...properties },
    icon(name),
  );
}

const NUMBER = new Intl.NumberFormat(document.documentElement.lang);

export const number = (value) => NUMBER.format(value);
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

export function emptyState(title, text, ...actions) {
  const art = el("div", { class: "empty-art" }, icon("mark"));
  return el(
    "div",
    { class: "empty" },
    art,
    el("h2", {}, title),
    el("p", {}, text),
    el("div", { class: "row" }, actions),
  );
}

export function errorState(error, retry) {
  const again = button(VIEW.retry, { onclick: retry });
  return el("div", { class: "failure", role: "alert" }, el("p", {}, error.message), again);
}

export function skeleton(rows) {
  const bones = Array.from({ length: rows }, () => el("div", { class: "bone" }));
  return el("div", { class: "skeleton", role: "status", "aria-label": VIEW.loading }, bones);
}
