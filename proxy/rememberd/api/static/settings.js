// Pause, time zone, scope, import and export, statistics, and erasing everything.
import { call, get, session } from "./api.js";
import { appsList } from "./apps.js";
import { confirmTyped } from "./dialog.js";
import { date } from "./dates.js";
import { button, el, errorState, icon, number, skeleton } from "./dom.js";
import { exporting, importing } from "./moving.js";
import { spaceForm } from "./space.js";
import { APPS, IMPORT, SETTINGS } from "./strings.js";
import { timeZoneForm } from "./time_zone.js";
import { failed, toast } from "./toast.js";

export function settingsView() {
  const place = el("div", {}, skeleton(4));
  const element = el("div", { class: "view" }, el("div", { class: "head" }, el("h1", {}, SETTINGS.title)), place);

  const moving = importing(() => load());
  const brought = section(IMPORT.title, moving.content);

  async function load() {
    try {
      const asked = [get("v1/memories/stats"), get("v1/memories/settings"), parts(), appsOfUser()];
      const [stats, { time_zone: zone }, health, apps] = await Promise.all(asked);
      const times = section(SETTINGS.timeZone, timeZoneForm(zone, load));
      const out = section(SETTINGS.out, el("p", { class: "muted" }, SETTINGS.outAbout), exporting());
      const scope = section(SETTINGS.scope, spaceForm());
      place.replaceChildren(pause(stats, load), times, brought, out, scope, apps, numbers(stats), healthOf(health), erasing(load));
    } catch (error) {
      place.replaceChildren(errorState(error, load));
    }
  }

  async function show(rest) {
    await load();
    if (rest === "paste" || rest === "import") moving.focus(rest);
  }

  return { element, show };
}

// Readiness answers 503 with the same body when a part is down: that is news, not a failure of this page.
async function parts() {
  const response = await fetch("health/ready", { headers: session.headers() });
  return (await response.json()).parts;
}

// A key for some scopes only may not see what is about all of the user.
async function appsOfUser() {
  try {
    return section(APPS.title, el("p", { class: "muted" }, APPS.about), await appsList());
  } catch (error) {
    if (error.code === "scope_not_allowed") return "";
    throw error;
  }
}

function section(title, ...content) {
  return el("section", { class: "panel" }, el("h2", {}, title), content);
}

function pause(stats, reload) {
  const box = el("input", { id: "pause", type: "checkbox", role: "switch", checked: stats.paused, onchange: set });
  async function set() {
    try {
      const { paused } = await call("PUT", "v1/memories/settings", { paused: box.checked });
      toast(paused ? SETTINGS.pausedNow : SETTINGS.onAgain, { stays: 2500 });
    } catch (error) {
      failed(error);
    }
    reload();
  }
  return section(
    SETTINGS.pause,
    el("label", { class: "switch", for: "pause" }, box, el("span", {}, SETTINGS.pauseLabel)),
    el("p", { class: "muted" }, SETTINGS.pauseAbout),
  );
}

function numbers(stats) {
  const figures = { ...stats, ...stats.answers };
  const shown = Object.entries(SETTINGS.figures).map(([name, label]) =>
    el("div", {}, el("dt", {}, label), el("dd", {}, number(figures[name]))),
  );
  const since = stats.answers.since ? SETTINGS.since(date(stats.answers.since)) : SETTINGS.noAnswers;
  const hint = stats.suggested_model ? el("p", {}, SETTINGS.otherModel(stats.suggested_model)) : "";
  return section(SETTINGS.statistics, el("dl", { class: "figures" }, shown), el("p", { class: "muted" }, since), hint);
}

function healthOf(health) {
  const rows = Object.entries(health).map(([name, state]) =>
    el(
      "li",
      {},
      el("span", { class: `dot ${state === "ok" ? "hit" : "degraded"}`, "aria-hidden": "true" }),
      el("span", {}, name),
      el("span", { class: "muted" }, state),
    ),
  );
  return section(SETTINGS.health, el("ul", { class: "parts" }, rows));
}

function erasing(reload) {
  const asked = {
    title: SETTINGS.eraseTitle,
    text: SETTINGS.eraseText,
    label: SETTINGS.eraseLabel(SETTINGS.eraseWord),
    word: SETTINGS.eraseWord,
    go: SETTINGS.eraseGo,
  };
  const erase = async () => {
    const { deleted } = await call("DELETE", "v1/memories");
    toast(SETTINGS.erased(deleted));
    reload();
  };
  const open = button(SETTINGS.eraseOpen, { class: "button danger", onclick: () => confirmTyped(asked, erase) }, icon("trash"));
  return section(SETTINGS.erase, el("p", { class: "muted" }, SETTINGS.eraseAbout), open);
}
