// Numbers as they are read: tokens in short and with every digit, money, sizes, shares, and days of the calendar.

const LARGE = [[1e12, "T"], [1e9, "bn"], [1e6, "M"]];

/** Three digits at most, without noughts behind: `8.23 M`, `15 M`, `984 k`, `231`. */
export function short(number) {
  if (number < 1000) return String(number);
  if (number < 999_500) return `${Math.round(number / 1000)} k`;
  const [unit, word] = LARGE.find(([least]) => number >= least * 0.9995);
  return `${Number((number / unit).toPrecision(number >= unit * 1000 ? 4 : 3))} ${word}`;
}

/** Every digit: `1,234,567`. */
export const exact = (number) => number.toLocaleString("en");

/** `€ 79.00`; `currency` as ISO 4217 names it. */
export const money = (cents, currency) => new Intl.NumberFormat("en", { style: "currency", currency, currencyDisplay: "narrowSymbol" })
  .formatToParts(cents / 100).map((part) => (part.type === "currency" ? `${part.value}\u00a0` : part.value)).join("").replace(/\u00a0+/gu, "\u00a0");

/** `2.3 GB`, `18 MB`. */
export const bytes = (size) => (size >= 1e9 ? `${(size / 1e9).toFixed(1)} GB` : size >= 1e6 ? `${Math.round(size / 1e6)} MB` : `${Math.ceil(size / 1e3)} kB`);

/** A share in whole percent; what is little is never told as nothing, and what is not all never as all. */
export function percent(part, whole) {
  if (!whole || !part) return part ? "more than 100 %" : "0 %";
  const share = (part / whole) * 100;
  if (share < 1) return "less than 1 %";
  return `${share > 99 && share < 100 ? 99 : Math.round(share)} %`;
}

const DAY = { weekday: "short", day: "numeric", month: "long" };
const formats = new Map();
function format(day, options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options }));
  return formats.get(key).format(Date.parse(day));
}

/** A day of the calendar (UTC, `2026-03-12`) in words: `Thu 12 March`, `12 Mar`, `March 2026`, `Mar`. */
export const dayWord = (day) => format(day, DAY).replace(",", "");
export const dayShort = (day) => format(day, { day: "numeric", month: "short" });
export const dayLong = (day) => format(day, { day: "numeric", month: "long" });
export const monthWord = (day) => format(day, { month: "long", year: "numeric" });
export const monthShort = (day) => format(day, { month: "short" });
