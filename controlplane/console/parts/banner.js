// The state of the page: connected or not, since when, and what that means.
import { html } from "../html.js";
import { isStaff } from "../session.js";
import { link, tryNow } from "../socket.js";
import { clock, now, span } from "../time.js";
import { Icon } from "./icon.js";

export function ConnectionBanner() {
  const { state, since, retryAt } = link.value;
  if (state !== "lost") return null;
  now.value; // the seconds to the next try move with the clock
  const seconds = retryAt ? Math.max(0, Math.ceil((retryAt - Date.now()) / 1000)) : 0;
  return html`<div class="banner banner-warn" role="status"><${Icon} name="offline" /><div><strong>No connection since ${clock(since)}</strong>
    <p>What you see is <span aria-hidden="true">${span(now.value - since)} old</span><span class="vh">of that time</span>. You can read, not ${isStaff() ? "decide or send" : "decide"}. Requests still expire on time, and an expired request never runs.${" "}<span aria-hidden="true">${seconds ? `Next try in ${seconds} s.` : "Trying now."}</span></p></div>
    <button class="btn" type="button" onClick=${tryNow}>Try now</button></div>`;
}

/** Live, every few seconds, or not at all. */
export function LiveSign() {
  const { state } = link.value;
  if (state === "live") return html`<span class="live"><${Icon} name="online" />Live</span>`;
  if (state === "polling") return html`<span class="state warn small" title="Sockets do not get through here, so this page asks by HTTP."><${Icon} name="late" />Every 15 s</span>`;
  return html`<span class="state bad small"><${Icon} name=${state === "lost" ? "offline" : "ring"} />${state === "lost" ? "Offline" : "Connecting"}</span>`;
}
