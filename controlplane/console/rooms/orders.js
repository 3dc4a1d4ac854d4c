// Orders: found by state, tier and words; made.
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Choice, Empty, Listed, PAGE, Search, Table, useFilters } from "../parts/list.js";
import { NewOrder } from "../parts/new_order.js";
import { Said } from "../parts/text.js";
import { MODES, ORDERS, OrderState, TIERS } from "../parts/words.js";
import { useList } from "../records.js";
import { may } from "../session.js";
import { when } from "../time.js";
import { useState } from "../vendor/hooks.mjs";

const STATES = Object.entries(ORDERS).map(([value, [word]]) => [value, word]);

export function Orders() {
  const [{ search, status, tier, page }, set] = useFilters(["search", "status", "tier", "page"]);
  const [making, setMaking] = useState(false);
  const number = Math.max(1, Number(page) || 1);
  const wanted = Object.fromEntries(Object.entries({ search, status, tier }).filter(([, value]) => value));
  const list = useList("/api/v1/admin/orders", { page: number, pageSize: PAGE, ...wanted }, { topic: "orders", kinds: /^order\./ });
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Orders</h1><p><${AsOf} /></p></div><div class="row">${may("orders.write") && html`<button class="btn btn-main" type="button" onClick=${() => setMaking(true)}><${Icon} name="plus" />New order…</button>`}</div></header>
    <div class="row filter-row"><${Search} label="Domain, address, customer or reference" value=${search} onSearch=${(words) => set({ search: words })} />
      <${Choice} label="State" value=${status} options=${STATES} onChoose=${(value) => set({ status: value })} /><${Choice} label="Tier" value=${tier} options=${TIERS} onChoose=${(value) => set({ tier: value })} /></div>
    <${Listed} list=${list} page=${number} onPage=${(next) => set({ page: String(next) })} label="orders" filtered=${Object.keys(wanted).length > 0}
      none=${html`<${Empty} icon="order" title="No order yet">An order belongs to a customer and names a domain; its server registers with its token.<//>`}
      nothing=${html`<${Empty} icon="search" title="Nothing fits" action=${html`<button class="btn" type="button" onClick=${() => set({ search: "", status: "", tier: "" })}>Show all</button>`}>No order is found with this search and these filters.<//>`}>
      <${Table} caption="Orders" head=${["Order", "State", "Tier", "Mode", "Server", "Since"]} rows=${(list.rows ?? []).map((one) => ({ key: one.id, cells: [
        html`<a class="name walk" href=${`/admin/orders/${one.id}`}><${Said} text=${one.domain} fold=${80} /></a>`, html`<${OrderState} status=${one.status} />`, one.tier,
        MODES.find(([mode]) => mode === one.automationMode)?.[1] ?? one.automationMode, one.serverIp ? html`<span class="mono">${one.serverIp}</span>` : "–", when(one.createdAt, "today, "),
      ] }))} /><//>
    ${making && html`<${NewOrder} onClose=${() => setMaking(false)} />`}`;
}
