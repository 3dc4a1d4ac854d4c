// The founding members: who they are, how many places are left, and making a customer one.
import { post } from "../api.js";
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Dialog } from "../parts/dialog.js";
import { SaveBar, useSaving } from "../parts/form.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Crumbs, Empty, Listed, PAGE, Table, useFilters } from "../parts/list.js";
import { Whose } from "../parts/new_order.js";
import { Said } from "../parts/text.js";
import { listen, useDraft, useList, useRecord } from "../records.js";
import { may } from "../session.js";
import { now, when } from "../time.js";
import { useEffect, useState } from "../vendor/hooks.mjs";

const COUNT = "/api/v1/public/founding-members/count";

function Add({ onClose, onDone }) {
  const draft = useDraft("founding member new", { userId: "" });
  const saving = useSaving({
    draft, done: "A founding member now.",
    save: async () => {
      await post(`/api/v1/admin/customers/${draft.value("userId")}/founding-member`);
      onClose();
      onDone();
    },
  });
  return html`<${Dialog} label="New founding member" onClose=${onClose}><form onSubmit=${saving.submit} noValidate><h2>New founding member</h2>
    <p>They get the lowest number that is free, and more tokens for as long as the settings say.</p>
    <${Whose} draft=${draft} fault=${saving.fault} />
    <${SaveBar} draft=${draft} saving=${saving} word="Make a founding member" /></form><//>`;
}

/** Places change with the members and with the setting that says how many there are. */
function usePlaces() {
  const record = useRecord(COUNT, { topic: "customers", concerns: (frame) => frame.kind === "customer.changed" });
  const sees = may("settings.read");
  useEffect(() => (sees ? listen("settings", { load: record.load, apply: (frame) => frame.data?.names?.includes("hub.foundingMemberPlaces") && record.load() }) : undefined), [sees]);
  return record;
}

export function FoundingMembers() {
  const [{ page }, set] = useFilters(["page"]);
  const [adding, setAdding] = useState(false);
  const number = Math.max(1, Number(page) || 1);
  const list = useList("/api/v1/admin/founding-members", { page: number, pageSize: PAGE });
  const places = usePlaces(), load = () => Promise.all([list.load(), places.load()]);
  useEffect(() => listen("customers", { load: list.load, apply: (frame) => frame.kind === "customer.changed" && list.load() }), []);
  const { total, remaining } = places.data ?? {};
  const writes = may("billing.write");
  return html`<${ConnectionBanner} />
    <${Crumbs} to="/admin/customers" word="Customers">Founding members<//>
    <header class="page-head"><div><h1 tabindex="-1">Founding members</h1><p role="status">${places.data ? `${remaining} of ${total} places left.` : places.fault ? "How many places are left is not known now." : ""} <${AsOf} /></p></div>
      <div class="row">${may("settings.read") && html`<a class="btn" href="/admin/settings/hub"><${Icon} name="settings" />Places and advantage</a>`}${writes && remaining > 0 && html`<button class="btn btn-main" type="button" onClick=${() => setAdding(true)}><${Icon} name="plus" />Add…</button>`}</div></header>
    <${Listed} list=${list} page=${number} onPage=${(next) => set({ page: String(next) })} label="founding members" none=${html`<${Empty} icon="users" title="No founding member yet">${writes ? "Make a customer one; the website then counts one place less." : "Owners and admins make a customer one."}<//>`}>
      <${Table} caption="Founding members" head=${["Number", "Customer", "Email", "Tokens", "Until"]} rows=${(list.rows ?? []).map((one) => ({ key: one.customerId, cells: [
        html`<b class="num">${one.number}</b>`, html`<a class="walk name-link" href=${`/admin/customers/${one.customerId}`}><${Said} text=${one.company ?? one.name} fold=${80} /></a>`, html`<${Said} text=${one.email} fold=${80} />`, `× ${one.tokenMultiplier}`,
        html`<span class=${Date.parse(one.expiresAt) <= now.value ? "muted" : ""}>${when(one.expiresAt, "today, ")}${Date.parse(one.expiresAt) <= now.value ? ", over" : ""}</span>`,
      ] }))} /><//>
    ${adding && html`<${Add} onClose=${() => setAdding(false)} onDone=${load} />`}`;
}
