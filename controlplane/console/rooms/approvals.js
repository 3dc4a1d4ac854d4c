// What waits for a decision: one card a request, undecided ones never move.
import { html } from "../html.js";
import { ApprovalFilters, useApprovalFilter } from "../parts/approval_filters.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Card } from "../parts/card.js";
import { ClassTag } from "../parts/class.js";
import { useHeld } from "../parts/held.js";
import { Icon } from "../parts/icon.js";
import { SettledLine } from "../parts/settled.js";
import { isStaff } from "../session.js";
import { connected, link } from "../socket.js";
import { approvals, loadApproval, me, pending, settled } from "../store.js";
import { clock, when } from "../time.js";
import { useEffect, useState } from "../vendor/hooks.mjs";

const PORTION = 20;

function title(count) {
  if (!approvals.loaded.value) return "Approvals";
  if (!connected() && link.value.since) return `${count} ${count === 1 ? "request" : "requests"} waited at ${clock(link.value.since)}`;
  if (isStaff()) return count ? `${count} ${count === 1 ? "request waits" : "requests wait"} for a decision` : "Approvals";
  return count ? `${count} ${count === 1 ? "request waits" : "requests wait"} for you` : "Approvals";
}

function subtitle(waiting) {
  if (!connected() && link.value.since) return "This list may be out of date.";
  if (!waiting.length) return "When an agent wants to do something risky, it stops and asks here.";
  const next = waiting.map((one) => one.expiresAt).sort()[0];
  return `Nothing below runs until ${isStaff() ? "somebody decides" : "you decide"}. The next one expires ${when(next, "at ")}.`;
}

const Bones = () => html`<article class="approval" aria-busy="true" aria-label="Loading a request"><div class="ask"><span class="bone bone-s"></span><span class="bone bone-l"></span><span class="bone bone-m"></span><span class="bone bone-box"></span></div></article>`;

const Empty = () => html`<section class="empty"><${Icon} name="shield" /><h2>${isStaff() ? "Nothing waits for a decision" : "Nothing waits for you"}</h2>
  <p>The next request shows up here by itself, the moment an agent asks.</p>
  ${!isStaff() && html`<div class="row"><a class="btn" href="/customer/history">See what was decided</a><a class="btn btn-bare" href="/customer/agents">See your agents</a></div>`}</section>`;

/** `wanted`: the id of the card a link leads to. */
export function Approvals({ wanted = null }) {
  const { cards, done, tidy } = useHeld(wanted);
  const waiting = pending.value;
  const [missing, setMissing] = useState(false);
  const [most, setMost] = useState(PORTION);
  const filter = useApprovalFilter();
  const shown = filter.active ? cards.filter((one) => filter.fits(one) || one.id === wanted) : cards;
  const known = Boolean(wanted && approvals.get(wanted));
  useEffect(() => {
    setMissing(false);
    if (wanted && approvals.loaded.value && !approvals.peek(wanted)) loadApproval(wanted).catch(() => setMissing(true));
  }, [wanted, approvals.loaded.value]);
  const base = isStaff() ? "/admin" : "/customer";
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">${title(waiting.length)}</h1><p>${subtitle(waiting)}</p></div>
      ${done > 0 && html`<button class="btn" type="button" onClick=${tidy}>Put away ${done} settled</button>`}</header>
    <${ApprovalFilters} filter=${filter} waiting=${waiting} />
    ${missing && html`<div class="banner banner-warn" role="alert"><${Icon} name="info" /><div><strong>This request does not exist here</strong><p>The link may be for another account.</p></div></div>`}
    <div class="cols cols-aside">
      <section class="stack" aria-label="Waiting requests" id="requests">
        ${!approvals.loaded.value ? html`<${Bones} />` : shown.length ? shown.slice(0, most).map((one) => html`<${Card} key=${one.id} approval=${one} first=${known && one.id === wanted} />`)
          : filter.active ? html`<section class="empty"><${Icon} name="search" /><h2>Nothing fits</h2><p>No waiting request is found with this search and class.</p><button class="btn" type="button" onClick=${filter.clear}>Show all</button></section>` : html`<${Empty} />`}
        ${shown.length > most && html`<div class="row between"><span class="small soft">${most} of ${shown.length} requests, oldest first</span><button class="btn" type="button" onClick=${() => setMost(most + PORTION)}>Show ${Math.min(PORTION, shown.length - most)} more</button></div>`}
      </section>
      <aside class="stack" aria-label="Background">
        <section class="section"><header><h2>What the classes mean</h2></header>
          <ul class="rows small">
            <li><${ClassTag} name="yellow" /><p class="soft">Changes something or leaves ${isStaff() ? "the" : "your"} server. One tap decides.</p></li>
            <li><${ClassTag} name="red" /><p class="soft">Cannot be undone. Asks you twice.</p></li>
            <li><${ClassTag} name="critical_red" /><p class="soft">Destroys live data. You type its name.</p></li>
          </ul></section>
        ${settled.value.length > 0 && html`<section class="section"><header><h2>Decided lately</h2><a class="push small" href=${`${base}/history`}>All</a></header>
          <ul class="feed">${settled.value.slice(0, 6).map((one) => html`<${SettledLine} key=${one.id} approval=${one} me=${me()} />`)}</ul></section>`}
        <p class="hint">${isStaff() ? "The customer and staff can decide." : "You and LetsBe staff can decide."} The first answer counts, the others are told who was first.</p>
      </aside>
    </div>`;
}

