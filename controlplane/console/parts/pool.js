// The pool of tokens: how much of it is used, how long it has to last, and in plain words what that means.
import { html } from "../html.js";
import { now } from "../time.js";
import { dayLong, percent, short } from "./numbers.js";

const DAY_MS = 86_400_000;
/** Before so much of a period is over its pace says nothing. */
const EARLY = 0.1;

/** How the period stands: days left, what this pace comes to at its end, and the day on which the pool ends (null: not before). */
export function outlook({ used, limit, start, end }, at) {
  const begin = Date.parse(start), over = Date.parse(end);
  const gone = Math.max(0, Math.min(1, (at - begin) / (over - begin)));
  const left = Math.max(0, over - at);
  const forecast = gone >= EARLY && gone < 1 ? Math.round(used / gone) : null;
  return { days: Math.ceil(left / DAY_MS), left, forecast, ends: forecast !== null && limit && used < limit && forecast > limit ? begin + (limit / used) * (at - begin) : null };
}

const until = ({ days, left }) => (left <= 0 ? "the period is over" : days === 1 ? "ends today" : `${days} days left`);

/** `used`, `limit` in tokens; a period without a limit has no bar. */
export function Pool({ used, limit, start, end, children }) {
  const view = outlook({ used, limit, start, end }, now.value);
  if (!limit) return html`<p class="row pool"><b class="big">${short(used)}</b> <span class="soft">tokens this month, ${until(view)}</span></p><p class="hint">Without a subscription there is no limit to hold it against.</p>${children}`;
  const whole = Math.max(limit, used, view.forecast ?? 0), part = (value) => `${((value / whole) * 100).toFixed(2)}%`;
  const over = used > limit;
  const words = `${percent(used, limit)} of ${short(limit)} tokens, ${until(view)}`;
  return html`<p class="row pool"><b class="big">${short(used)}</b> <span class="soft">${words}</span></p>
    <svg class="chart budget" height="26" role="img" aria-label=${`${words}.${view.forecast ? ` At this pace ${short(view.forecast)} by the end.` : ""}`}>
      <rect class="t" y="4" width="100%" height="18" rx="4" />
      ${view.forecast && view.forecast > used && html`<rect class="fore" y="4" width=${part(Math.min(view.forecast, limit))} height="18" rx="4" />`}
      ${view.forecast > limit && html`<rect class="over-soft" y="4" x=${part(limit)} width=${part(view.forecast - limit)} height="18" />`}
      <rect class="used" y="4" width=${part(Math.min(used, limit))} height="18" rx="4" />
      ${over && html`<rect class="over" y="4" x=${part(limit)} width=${part(used - limit)} height="18" rx="2" />`}
      ${whole > limit && html`<line class="tick" x1=${part(limit)} x2=${part(limit)} y1="0" y2="26" />`}</svg>
    <p class=${over || view.ends ? "small warn" : "small soft"}>${over ? `${short(used - limit)} over the limit.` : view.ends ? `At this pace it is used up on ${dayLong(new Date(view.ends).toISOString())}.` : view.forecast === null ? "It is too early to tell where this leads." : used ? `At this pace ${short(view.forecast)} by the end, within the limit.` : "Nothing is used yet."}</p>${children}`;
}
