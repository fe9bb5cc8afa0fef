// Days and times as the user reads them: in the time zone of their settings, else in this browser's.
import { COMMON } from "./strings.js";

const DAY_MS = 86_400_000;
const LANG = document.documentElement.lang;
let formats;

export const BROWSER_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

// null: the browser's zone, which is also taken if this browser does not know `zone`.
export function useTimeZone(zone) {
  try {
    formats = formatsIn(zone ?? BROWSER_ZONE);
  } catch {
    formats = formatsIn(BROWSER_ZONE);
  }
}

function formatsIn(timeZone) {
  const format = (parts, lang = LANG) => new Intl.DateTimeFormat(lang, { timeZone, ...parts });
  return {
    day: format({ weekday: "long", day: "numeric", month: "long", year: "numeric" }),
    date: format({ day: "numeric", month: "short", year: "numeric" }),
    time: format({ hour: "2-digit", minute: "2-digit" }),
    sortable: format({ dateStyle: "short", timeStyle: "medium" }, "sv-SE"), // 2026-12-01 09:30:00
  };
}

useTimeZone(null);

export const date = (at) => formats.date.format(new Date(at));
export const time = (at) => formats.time.format(new Date(at));
export const isoDay = (at) => formats.sortable.format(new Date(at)).slice(0, 10);

export function day(at) {
  const ago = (Date.parse(isoDay(Date.now())) - Date.parse(isoDay(at))) / DAY_MS;
  return ago === 0 ? COMMON.today : ago === 1 ? COMMON.yesterday : formats.day.format(new Date(at));
}

// The moment when the day ("2026-12-01") begins; with `later`, so many days after it.
export function startOf(isoDate, later = 0) {
  const wanted = Date.parse(isoDate) + later * DAY_MS;
  const off = (at) => Date.parse(`${formats.sortable.format(at).replace(" ", "T")}Z`) - wanted;
  const near = wanted - off(wanted);
  return new Date(near - off(near)); // once more: the clocks may change in between
}
