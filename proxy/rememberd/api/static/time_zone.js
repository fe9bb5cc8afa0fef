// The user's time zone: what "yesterday" is, and the dates that models and this page show.
import { call } from "./api.js";
import { BROWSER_ZONE, useTimeZone } from "./dates.js";
import { button, el } from "./dom.js";
import { SETTINGS } from "./strings.js";
import { failed, toast } from "./toast.js";

export function timeZoneForm(zone, reload) {
  const field = el("input", {
    id: "time-zone",
    value: zone ?? "",
    placeholder: SETTINGS.timeZoneDefault,
    list: "time-zones",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
  });
  const known = Intl.supportedValuesOf("timeZone").map((name) => el("option", { value: name }));

  async function choose(name) {
    try {
      const { time_zone: chosen } = await call("PUT", "v1/memories/settings", { time_zone: name || null });
      useTimeZone(chosen);
      toast(SETTINGS.timeZoneSet(chosen), { stays: 2500 });
      await reload();
    } catch (error) {
      failed(error);
    }
  }

  function save(event) {
    event.preventDefault();
    return choose(field.value.trim());
  }

  const offer =
    zone === BROWSER_ZONE ? null : button(SETTINGS.timeZoneOffer(BROWSER_ZONE), { onclick: () => choose(BROWSER_ZONE) });
  return el(
    "form",
    { class: "editor", onsubmit: save },
    el("p", { class: "muted" }, SETTINGS.timeZoneAbout),
    el("label", { for: "time-zone" }, SETTINGS.timeZoneLabel),
    el("div", { class: "row" }, field, button(SETTINGS.timeZoneSave, { type: "submit" }), offer),
    el("datalist", { id: "time-zones" }, known),
  );
}
