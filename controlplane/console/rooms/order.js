// One order: how far it is, how it moves, its server's details, its token and its agents.
import { patch, post } from "../api.js";
import { html } from "../html.js";
import { useAtOnce } from "../parts/at_once.js";
import { historyOf } from "../parts/audit_entry.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Act, Entry, SaveBar, Wrong, asLines, tidy, useSaving } from "../parts/form.js";
import { Icon } from "../parts/icon.js";
import { Token } from "../parts/key.js";
import { AsOf, Bones, Crumbs, Missing } from "../parts/list.js";
import { Presence } from "../parts/presence.js";
import { Said } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { MODES, ORDERS, OrderState, PATH } from "../parts/words.js";
import { useDraft, useRecord } from "../records.js";
import { may } from "../session.js";
import { connected } from "../socket.js";
import { servers } from "../store.js";
import { when } from "../time.js";
import { useState } from "../vendor/hooks.mjs";

const MEANS = { AUTO: "Each step starts by itself.", MANUAL: "Each step waits for a person.", PAUSED: "Nothing starts until this is lifted." };

function Steps({ order }) {
  if (!PATH.includes(order.status)) return html`<div class="banner banner-bad" role="status"><${Icon} name="class-red" /><div><strong>${ORDERS[order.status]?.[0] ?? order.status}</strong><p>This order does not go on by itself.</p></div></div>`;
  const at = PATH.indexOf(order.status), ended = order.status === "FULFILLED";
  return html`<ol class="steps steps-wide" aria-label="How far it is">${PATH.map((state, index) => html`<li key=${state} class=${index < at || ended ? "done" : index === at ? "now" : ""} aria-current=${index === at ? "step" : null}><span class="dot" aria-hidden="true">${index < at || ended ? html`<${Icon} name="check" />` : index + 1}</span><b>${ORDERS[state][0]}</b><code>${state}</code><span>${ended && index === at ? when(order.fulfilledAt, "") : index === at ? "now" : index < at ? "" : "not yet"}</span></li>`)}</ol>`;
}

function Mode({ order, record }) {
  const turns = useAtOnce();
  const locked = !may("orders.write") || !connected();
  const mode = turns.wanted("mode", order.automationMode);
  const choose = (wanted) => turns.turn("mode", wanted, async () => {
    await patch(`/api/v1/admin/orders/${order.id}/automation`, { automationMode: wanted });
    await record.load();
    toast(`${MODES.find(([one]) => one === wanted)[1]}. ${MEANS[wanted]}`);
  });
  return html`<div class="stack stack-s"><fieldset class="seg" aria-busy=${turns.busy ? "true" : null}><legend class="vh">Automation</legend>${MODES.map(([one, word]) => html`<label key=${one} title=${MEANS[one]}><input type="radio" name="mode" checked=${mode === one} aria-disabled=${locked ? "true" : null} onClick=${(event) => { if (locked) event.preventDefault(); }} onChange=${() => !locked && choose(one)} />${word}</label>`)}</fieldset>
    ${turns.fault && html`<${Wrong}>${turns.fault}<//>`}</div>`;
}

function Details({ order, record }) {
  const draft = useDraft(`order ${order.id}`, order);
  const locked = !may("orders.write");
  const saving = useSaving({ draft, reload: record.load, done: "Saved.", save: async (changed) => record.take(await patch(`/api/v1/admin/orders/${order.id}`, { ...changed, ...(changed.tools ? { tools: tidy(changed.tools) } : {}) }, record.version)) });
  const entry = { draft, fault: saving.fault, locked, autocomplete: "off", spellcheck: false };
  return html`<section class="panel" aria-labelledby="or-d"><header><h2 id="or-d">Server</h2></header><form class="panel-body stack" onSubmit=${saving.submit}>
    <${Entry} ...${entry} name="serverIp" label="Address" write=${(text) => text.trim() || null} />
    <${Entry} ...${entry} name="sshPort" label="SSH port" kind="number" min="1" max="65535" write=${(text) => (text === "" ? null : Number(text))} />
    <${Entry} ...${entry} name="tools" label="Tools" kind="textarea" cls="mono" rows=${Math.min(10, Math.max(3, order.tools.length + 1))} ...${asLines} hint="One a line." />
    ${locked ? html`<p class="hint">Your role may look at orders, not change them.</p>` : html`<${SaveBar} draft=${draft} saving=${saving} fields=${["serverIp", "sshPort", "tools"]} />`}</form></section>`;
}

function Door({ order, server }) {
  const [token, setToken] = useState(null);
  return html`<section class="section" aria-labelledby="or-t"><header><h2 id="or-t">Tenant</h2></header>
    ${server ? html`<p class="row pad-t"><${Presence} server=${server} long /><a class="push" href=${`/admin/tenants/${server.id}`}>Open the tenant</a></p>` : html`<p class="hint none">No server has registered yet. ${may("tokens.issue") ? "Give its wrapper a registration token; it shows up in the fleet by itself." : "Owner or admin give its wrapper a registration token."}</p>`}
    ${may("tokens.issue") && html`<div class="row pad-t"><${Act} act=${async () => setToken((await post(`/api/v1/admin/orders/${order.id}/registration-token`)).data)} busyWord="Making it"><${Icon} name="key" />Registration token…<//><span class="small muted">shown once; works once</span></div>`}
    ${token && html`<${Token} server=${order} token=${token} onClose=${() => setToken(null)} />`}</section>`;
}

export function Order({ id }) {
  const record = useRecord(`/api/v1/admin/orders/${encodeURIComponent(id)}`, { topic: "orders", concerns: (frame) => frame.data?.id === id || frame.data?.orderId === id });
  const order = record.data;
  const owner = useRecord(order && `/api/v1/admin/customers/${order.userId}`, { topic: "customers", concerns: (frame) => frame.data?.id === order?.userId }).data;
  if (!order) return record.fault ? html`<${Missing} fault=${record.fault} what="order" back="/admin/orders" word="Orders" />` : html`<h1 class="vh" tabindex="-1">Order</h1><${Bones} label="the order" />`;
  const server = servers.all().find((one) => one.orderId === id);
  return html`<${ConnectionBanner} />
    <${Crumbs} to="/admin/orders" word="Orders"><${Said} text=${order.domain} fold=${60} /><//>
    <header class="page-head"><div><h1 tabindex="-1"><${Said} text=${order.domain} fold=${120} /></h1><p class="row"><${OrderState} status=${order.status} /><span class="tag">${order.tier}</span>${owner && html`<a href=${`/admin/customers/${owner.id}`}><${Said} text=${owner.company ?? owner.name} fold=${60} /></a>`}<span class="muted">since ${when(order.createdAt, "today ")}</span> <${AsOf} /></p></div><${Mode} order=${order} record=${record} /></header>
    <${Steps} order=${order} />
    <div class="cols cols-wide"><div class="stack stack-l"><${Door} order=${order} server=${server} />
      <section class="section" aria-labelledby="or-x"><header><h2 id="or-x">Addresses</h2></header><dl class="facts pad-t"><dt>Dashboard</dt><dd><${Said} text=${order.dashboardUrl} fold=${120} /></dd><dt>Portainer</dt><dd><${Said} text=${order.portainerUrl} fold=${120} /></dd><dt>Order</dt><dd class="mono">${order.id}</dd>${may("audit.read") && html`<dt>Audit log</dt><dd><a href=${historyOf(order.id, "orderId")}>History of changes</a></dd>`}</dl></section></div>
      <${Details} order=${order} record=${record} /></div>`;
}
