// One customer: who it is, its orders, changing and suspending it.
import { patch, post } from "../api.js";
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { historyOf } from "../parts/audit_entry.js";
import { Act, Entry, SaveBar, useSaving } from "../parts/form.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Bones, Crumbs, Missing } from "../parts/list.js";
import { NewOrder } from "../parts/new_order.js";
import { Said } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { Typed } from "../parts/typed.js";
import { AccountState, OrderState } from "../parts/words.js";
import { useDraft, useRecord } from "../records.js";
import { may } from "../session.js";
import { when } from "../time.js";
import { useState } from "../vendor/hooks.mjs";

const FIELDS = ["name", "email", "company"];

function Details({ customer, record }) {
  const draft = useDraft(`customer ${customer.id}`, customer);
  const locked = !may("customers.write");
  const saving = useSaving({ draft, reload: record.load, done: "Saved.", save: async (changed) => record.take(await patch(`/api/v1/admin/customers/${customer.id}`, changed, record.version)) });
  const entry = { draft, fault: saving.fault, locked, autocomplete: "off" };
  return html`<section class="panel" aria-labelledby="cu-d"><header><h2 id="cu-d">Details</h2></header><form class="panel-body stack" onSubmit=${saving.submit}>
    <${Entry} ...${entry} name="name" label="Name" />
    <${Entry} ...${entry} name="email" label="Email" kind="email" hint="They sign in with it, and mail goes there." />
    <${Entry} ...${entry} name="company" label="Company" write=${(text) => text || null} />
    ${locked ? html`<p class="hint">Your role may look at customers, not change them.</p>` : html`<${SaveBar} draft=${draft} saving=${saving} fields=${FIELDS} />`}</form></section>`;
}

function Standing({ customer, record }) {
  const [asking, setAsking] = useState(false);
  const put = async (status) => record.take(await patch(`/api/v1/admin/customers/${customer.id}`, { status }, record.version));
  const member = customer.foundingMember;
  return html`<section class="panel" aria-labelledby="cu-s"><header><h2 id="cu-s">Standing</h2><span class="push"><${AccountState} status=${customer.status} /></span></header><div class="panel-body stack">
    <dl class="facts"><dt>Since</dt><dd>${when(customer.createdAt)}</dd>
      <dt>Plan</dt><dd>${customer.subscription ? `${customer.subscription.plan} / ${customer.subscription.tier}, ${customer.subscription.status.toLowerCase().replace("_", " ")}` : "none yet"}</dd>
      <dt>Founding member</dt><dd>${member ? `number ${member.number}, tokens × ${member.tokenMultiplier} until ${when(member.expiresAt, "today ")}` : "no"}</dd></dl>
    <div class="row">${may("customers.write") && (customer.status === "ACTIVE" ? html`<button class="btn" type="button" onClick=${() => setAsking(true)}>Suspend…</button>` : html`<${Act} act=${async () => { await put("ACTIVE"); toast("The customer may sign in again."); }}>Let them in again<//>`)}
      ${may("billing.write") && !member && html`<${Act} act=${async () => { await post(`/api/v1/admin/customers/${customer.id}/founding-member`); await record.load(); toast("A founding member now."); }}>Make a founding member<//>`}
      ${may("audit.read") && html`<a href=${historyOf(customer.id, "customerId")}>History of changes</a>`}</div></div>
    ${asking && html`<${Typed} title=${`Suspend ${customer.company ?? customer.name}?`} name=${customer.email} keep="Keep them" go="Suspend" onClose=${() => setAsking(false)} act=${async () => { await put("SUSPENDED"); toast("Suspended. They are signed out everywhere."); }}>They are signed out at once and cannot sign in. Their server runs on; what its agents ask for is left to staff.<//>`}</section>`;
}

export function Customer({ id }) {
  const record = useRecord(`/api/v1/admin/customers/${encodeURIComponent(id)}`, { topic: "customers", concerns: (frame) => frame.data?.id === id });
  const [making, setMaking] = useState(false);
  const customer = record.data;
  if (!customer) return record.fault ? html`<${Missing} fault=${record.fault} what="customer" back="/admin/customers" word="Customers" />` : html`<h1 class="vh" tabindex="-1">Customer</h1><${Bones} label="the customer" />`;
  const title = customer.company ?? customer.name;
  const orders = customer.orders ?? [];
  return html`<${ConnectionBanner} />
    <${Crumbs} to="/admin/customers" word="Customers"><${Said} text=${title} fold=${60} /><//>
    <header class="page-head"><div><h1 tabindex="-1"><${Said} text=${title} fold=${120} /></h1><p class="row"><${AccountState} status=${customer.status} /><${Said} text=${customer.email} fold=${100} /> <${AsOf} /></p></div></header>
    <div class="cols cols-wide"><section class="section" aria-labelledby="cu-o"><header><h2 id="cu-o">Orders</h2><span class="muted">${orders.length}</span>${may("orders.write") && html`<button class="btn btn-s push" type="button" onClick=${() => setMaking(true)}><${Icon} name="plus" />New order…</button>`}</header>
      ${orders.length ? html`<ul class="rows">${orders.map((one) => html`<li class="item" key=${one.id}><${Icon} name="order" /><div><a class="walk name-link" href=${`/admin/orders/${one.id}`}><${Said} text=${one.domain} fold=${80} /></a><p>${one.tier}, since ${when(one.createdAt, "today ")}</p></div><span class="small"><${OrderState} status=${one.status} /></span></li>`)}</ul>`
        : html`<p class="hint none">No order yet. ${may("orders.write") ? "Make one; then its server can register." : ""}</p>`}</section>
      <div class="stack"><${Details} customer=${customer} record=${record} /><${Standing} customer=${customer} record=${record} /></div></div>
    ${making && html`<${NewOrder} customer=${customer} onClose=${() => setMaking(false)} />`}`;
}
