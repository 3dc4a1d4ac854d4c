// One tenant, live: what happened, what is under way, how its server is, and what staff may do to it.
import { html } from "../html.js";
import { ActorPanel } from "../parts/actor.js";
import { ConnectionBanner, LiveSign } from "../parts/banner.js";
import { CommandForm } from "../parts/command_form.js";
import { AgentList } from "../parts/tenant_agents.js";
import { ConfigurationPanel } from "../parts/configuration.js";
import { KeyPanel } from "../parts/key.js";
import { Presence } from "../parts/presence.js";
import { Said } from "../parts/text.js";
import { Timeline } from "../parts/timeline.js";
import { readings } from "../parts/fleet_row.js";
import { WebhookPanel } from "../parts/webhooks.js";
import { may } from "../session.js";
import { connected, link, watch } from "../socket.js";
import { servers } from "../store.js";
import { TenantStore } from "../tenant_store.js";
import { clock, span, now } from "../time.js";
import { useEffect, useState } from "../vendor/hooks.mjs";

function Facts({ server, order }) {
  const [cpu, memory, disk] = readings(server);
  const percent = (value) => (value === null ? "–" : `${Math.round(value)}%`);
  const running = server.resources?.containersRunning, stopped = server.resources?.containersStopped;
  const facts = [
    ["Domain", server.domain], ["Server", server.serverIp ? `${server.serverIp}${order ? `:${order.sshPort}` : ""}` : "–"],
    ["Wrapper", server.safetyWrapperVersion ?? "–"], ["OpenClaw", server.openclawVersion ?? "–"],
    ["Socket", server.connectedAt && server.presence !== "offline" ? `up ${span(now.value - Date.parse(server.connectedAt))}` : "not open"],
    ["CPU, RAM, disk", `${percent(cpu)}, ${percent(memory)}, ${percent(disk)}`],
    ["Containers", typeof running === "number" ? `${running} running, ${stopped ?? 0} stopped` : "–"],
  ];
  return html`<dl class="facts-line">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd><${Said} text=${value} fold=${60} /></dd></div>`)}</dl>`;
}

function Inside({ server }) {
  const [store] = useState(() => new TenantStore(server));
  useEffect(() => watch(`order:${server.orderId}`, {
    load: () => store.load(), apply: (frame) => store.apply(frame), presence: (frame) => servers.put(frame.server),
  }), [server.orderId]);
  const order = store.order.value;
  const stale = link.value.state === "lost" ? link.value.since : null;
  return html`<${ConnectionBanner} />
    <nav aria-label="Breadcrumb" class="small row"><a href="/admin/fleet">Fleet</a><span class="muted" aria-hidden="true">/</span><span aria-current="page"><${Said} text=${server.domain} fold=${80} /></span></nav>
    <header class="page-head"><div><h1 tabindex="-1"><${Said} text=${server.company ?? server.domain} fold=${120} /></h1>
      <p class="row"><${Presence} server=${server} long />${order && html`<span class="tag">${order.tier}</span>`}${stale && html`<span class="warn">as it was at ${clock(stale)}</span>`}</p></div>
      <div class="row"><span class="wide-only"><${LiveSign} /></span>${may("servers.command") && html`<a class="btn btn-main" href="#send">Send command</a>`}</div></header>
    <${Facts} server=${server} order=${order} />
    <div class="cols cols-wide">
      <div class="stack stack-l"><${Timeline} server=${server} store=${store} /><${ActorPanel} server=${server} /></div>
      <div class="stack">
        ${may("servers.command") && html`<${CommandForm} server=${server} store=${store} />`}
        <${ConfigurationPanel} server=${server} store=${store} /><${AgentList} server=${server} store=${store} />
        ${(may("keys.revoke") || may("tokens.issue")) && html`<${KeyPanel} server=${server} connected=${connected()} />`}
        <${WebhookPanel} server=${server} store=${store} />
      </div>
    </div>`;
}

export function Tenant({ id }) {
  const server = servers.get(id);
  if (server) return html`<${Inside} server=${server} />`;
  if (!servers.loaded.value) return html`<h1 class="vh" tabindex="-1">Tenant</h1><${ConnectionBanner} /><div aria-busy="true" aria-label="Loading"><span class="bone bone-l"></span></div>`;
  return html`<section class="empty"><h1 tabindex="-1">There is no such tenant</h1><p>No server has this id.</p><a class="btn" href="/admin/fleet">Fleet</a></section>`;
}
