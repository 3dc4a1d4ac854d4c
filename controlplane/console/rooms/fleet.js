// The fleet: every tenant's server, its presence with its age, what is open, how it is; and what just happened.
import { html } from "../html.js";
import { ConnectionBanner, LiveSign } from "../parts/banner.js";
import { FleetEvents } from "../parts/events.js";
import { Filters, Totals, useFilter } from "../parts/fleet_filters.js";
import { FleetRow } from "../parts/fleet_row.js";
import { Icon } from "../parts/icon.js";
import { presenceOf } from "../parts/presence.js";
import { link } from "../socket.js";
import { pending, servers } from "../store.js";
import { clock } from "../time.js";
import { classOf, RANK } from "../parts/class.js";
import { useRef, useState } from "../vendor/hooks.mjs";

const PAGE = 50;
const PRESENCE_ORDER = { offline: 0, refused: 1, late: 2, online: 3 };
const SORTS = {
  tenant: (one, other) => one.domain.localeCompare(other.domain),
  presence: (one, other) => PRESENCE_ORDER[presenceOf(one)] - PRESENCE_ORDER[presenceOf(other)] || SORTS.tenant(one, other),
  approvals: (one, other) => other.pendingApprovals - one.pendingApprovals || SORTS.tenant(one, other),
  unacked: (one, other) => other.unacknowledged - one.unacknowledged || SORTS.tenant(one, other),
};

function Head({ name, sort, setSort, cls, children }) {
  const mine = sort.by === name;
  return html`<th role="columnheader" scope="col" class=${cls} aria-sort=${mine ? (sort.back ? "descending" : "ascending") : null}><button class="sort" type="button" onClick=${() => setSort({ by: name, back: mine && !sort.back })}>${children} ${mine && html`<${Icon} name="sort" />`}</button></th>`;
}

/** The highest class that waits, by order: staff know the approvals anyway. */
function worstByOrder() {
  const worst = new Map();
  for (const one of pending.value) {
    const rank = RANK.indexOf(one.commandClass);
    if (rank > (worst.get(one.orderId)?.rank ?? -1)) worst.set(one.orderId, { rank, look: classOf(one.commandClass).look, word: classOf(one.commandClass).word });
  }
  return worst;
}

const Bones = () => html`<div class="stack" role="status" aria-busy="true" aria-label="Loading the fleet"><span class="bone bone-box"></span>${Array.from({ length: 8 }, (_, row) => html`<span class=${`bone ${row % 3 ? "bone-m" : "bone-l"}`} key=${row}></span>`)}</div>`;

export function Fleet() {
  const [sort, setSort] = useState({ by: "tenant", back: false });
  const [page, setPage] = useState(0);
  const [taken, setTaken] = useState(0); // moves when the reader lets the rows move
  const everyone = servers.all();
  const filter = useFilter(everyone, () => setPage(0));
  const ordered = (list) => { const done = [...list].sort(SORTS[sort.by]); return sort.back ? done.reverse() : done; };
  const matching = everyone.filter((one) => filter.fits(one));

  // The order holds still while it is read: ids are arranged once for each question, then only told how many would move.
  // Where nothing stands yet there is nothing to hold still: the first tenant shows at once.
  const question = JSON.stringify([sort, filter.key, taken, servers.loaded.value]);
  const fresh = ordered(matching).map((one) => one.id);
  const arranged = useRef({ question: null, ids: [] });
  if (arranged.current.question !== question || arranged.current.ids.length === 0) arranged.current = { question, ids: fresh };
  const held = arranged.current.ids;
  const moving = fresh.filter((id, index) => held[index] !== id).length + Math.max(0, held.length - fresh.length);
  const rows = held.slice(page * PAGE, (page + 1) * PAGE).map((id) => servers.peek(id)).filter(Boolean);
  const worst = worstByOrder();
  const stale = link.value.state === "lost" ? link.value.since : null;

  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Fleet</h1>${stale && html`<p>As it was at ${clock(stale)}.</p>`}</div><div class="row wide-only"><${LiveSign} /></div></header>
    ${!servers.loaded.value ? html`<${Bones} />` : html`
    <${Totals} all=${everyone} />
    <div class="cols cols-feed">
      <section class="stack" aria-labelledby="t-h">
        <h2 class="vh" id="t-h">Tenants</h2>
        ${everyone.length > 0 && html`<${Filters} filter=${filter} all=${everyone} />`}
        ${everyone.length === 0 ? html`<section class="empty"><${Icon} name="server" /><h2>No tenant yet</h2><p>A server shows up here the moment its wrapper has registered with an order's token.</p></section>`
        : matching.length === 0 && held.length === 0 ? html`<section class="empty"><${Icon} name="search" /><h2>Nothing fits</h2><p>No tenant is found with this search and these filters.</p><button class="btn" type="button" onClick=${filter.clear}>Show all</button></section>` : html`
        <div><div class="fleet-frame"><table class="table fleet" role="table" aria-describedby="t-n">
          <caption class="vh">Tenants</caption>
          <thead role="rowgroup"><tr role="row">
            <${Head} name="tenant" cls="w-name" sort=${sort} setSort=${setSort}>Tenant<//><${Head} name="presence" sort=${sort} setSort=${setSort}>Presence<//>
            <th role="columnheader" scope="col">Wrapper</th>
            <${Head} name="approvals" cls="n" sort=${sort} setSort=${setSort}>Approvals<//><${Head} name="unacked" cls="n" sort=${sort} setSort=${setSort}>Unacked<//>
            <th role="columnheader" scope="col" class="w-meter">CPU</th><th role="columnheader" scope="col" class="w-meter">RAM</th><th role="columnheader" scope="col" class="w-meter">Disk</th>
          </tr></thead>
          <tbody role="rowgroup">${rows.map((one) => html`<${FleetRow} key=${one.id} server=${one} worst=${worst.get(one.orderId)} newest=${filter.newest} />`)}</tbody>
        </table></div>
        <p class="small soft" id="t-n">${held.length > PAGE ? `${page * PAGE + 1} to ${page * PAGE + rows.length} of ${held.length}` : held.length} ${held.length === 1 ? "tenant" : "tenants"}${held.length < everyone.length ? ` found, ${everyone.length} in all` : ""}. Order holds still while you read${moving ? html`; <button class="as-link" type="button" onClick=${() => { setTaken(taken + 1); setPage(0); }}>${moving} ${moving === 1 ? "row" : "rows"} would move</button>.` : "."} Times in UTC.</p></div>
        ${held.length > PAGE && html`<div class="row"><button class="btn" type="button" disabled=${page === 0} onClick=${() => setPage(page - 1)}>Previous</button><button class="btn" type="button" disabled=${(page + 1) * PAGE >= held.length} onClick=${() => setPage(page + 1)}>Next</button></div>`}`}
      </section>
      <${FleetEvents} />
    </div>`}`;
}

