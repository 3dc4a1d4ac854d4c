// Times: the server's clock, how long is left, how old something is, and how both are said.
import { signal } from "./vendor/signals.mjs";

let offset = 0; // server minus this machine, in milliseconds
let exact = false; // a welcome of the socket has told the server's time

/** Now on the server's clock, in milliseconds; moves once a second. */
export const now = signal(Date.now());
/** The zone times are told in: staff see UTC, customers their own. */
export const zone = signal("UTC");

export const serverNow = () => Date.now() + offset;

/** Learn the server's time from the socket (exact) or from an answer's Date header (to the second). */
export function learn(text, isExact = false) {
  const told = Date.parse(text);
  if (Number.isNaN(told) || (exact && !isExact)) return;
  const difference = told - Date.now();
  if (isExact) exact = true;
  // A Date header is cut to the second and late by the way it took: below two seconds it says nothing.
  else if (Math.abs(difference - offset) < 2000) return;
  offset = difference;
  now.value = serverNow();
}

setInterval(() => { now.value = serverNow(); }, 1000);

export const useLocalZone = () => { zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC"; };

const formats = new Map();
function format(time, options) {
  const key = zone.value + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) formats.set(key, made = new Intl.DateTimeFormat("en-GB", { timeZone: zone.value, ...options }));
  return made.format(new Date(time));
}

const day = (time) => format(time, { year: "numeric", month: "2-digit", day: "2-digit" });
export const clock = (time) => format(time, { hour: "2-digit", minute: "2-digit" });
export const clockSeconds = (time) => format(time, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const full = (time) => format(time, { dateStyle: "long", timeStyle: "long" });

/** `today, 13:58`, `yesterday, 15:22`, `Tue 13:58`, `11 March, 09:20`; with the year where it is far away. */
export function when(time, today = "today, ") {
  const at = Date.parse(time);
  const current = now.peek();
  if (day(at) === day(current)) return today + clock(at);
  if (day(at) === day(current - 86_400_000)) return `yesterday, ${clock(at)}`;
  if (day(at) === day(current + 86_400_000)) return `tomorrow, ${clock(at)}`;
  if (Math.abs(at - current) < 6 * 86_400_000) return format(at, { weekday: "short", hour: "2-digit", minute: "2-digit" }).replace(",", "");
  const year = Math.abs(at - current) > 300 * 86_400_000 ? { year: "numeric" } : {};
  return format(at, { day: "numeric", month: "long", ...year, hour: "2-digit", minute: "2-digit" }).replace(" at ", ", ");
}

/** As short as it goes: `13:58`, `Tue 13:58`, `11 Mar 13:58`. */
export function brief(time) {
  const at = Date.parse(time), current = now.peek();
  if (day(at) === day(current)) return clock(at);
  if (Math.abs(at - current) < 6 * 86_400_000) return `${format(at, { weekday: "short" })} ${clock(at)}`;
  return `${format(at, { day: "numeric", month: "short" })} ${clock(at)}`;
}

/** A span in words: `48 s`, `41 min`, `23 h 17 min`, `3 d 4 h`. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}

/** An age with one unit: `2 s`, `6 min`, `3 h`, `2 d`. */
export function age(time) {
  const seconds = Math.max(0, Math.floor((now.value - Date.parse(time)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** The difference between two stops of a track: `+4 ms`, `+8.0 s`, `+3 min`. */
export function later(from, to) {
  const milliseconds = Math.max(0, Date.parse(to) - Date.parse(from));
  if (milliseconds < 1000) return `+${milliseconds} ms`;
  return milliseconds < 60_000 ? `+${(milliseconds / 1000).toFixed(1)} s` : `+${span(milliseconds)}`;
}
