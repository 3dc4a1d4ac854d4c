// One tenant, live: what happened, what is under way, how its server is, and what staff may do to it.
import { all, get } from "../api.js";
import { html } from "../html.js";
import { ActorPanel } from "../parts/actor.js";
import { ConnectionBanner, LiveSign } from "../parts/banner.js";
import { CommandForm } from "../parts/command_form.js";
import { ConfigurationPanel, AgentList } from "../parts/tenant_side.js";
import { KeyPanel } from "../parts/key.js";
import { Presence } from "../parts/presence.js";
import { Said } from "../parts/text.js";
import { Timeline } from "../parts/timeline.js";
import { readings } from "../parts/fleet_row.js";
import { may } from "../session.js";
import { connected, link, watch } from "../socket.js";
import { Collection, approvals, servers } from "../store.js";
import { clock, span, now } from "../time.js";
import { useEffect, useState } from "../vendor/hooks.mjs";
import { signal } from "../vendor/signals.mjs";

/** What is known of one tenant besides its server and its approvals. */
class TenantStore {
  commands = new Collection();
  agents = new Collection();
  /** Other events: `{id, at, kind, data}`. */
  others = new Collection();
  order = signal(null);
  trouble = signal(null);

  constructor(server) { this.server = server; }

  async load() {
    const { id, orderId } = this.server;
    const [commands, agents, order, ...settled] = await Promise.all([
      get(`/api/v1/admin/servers/${id}/commands`, { pageSize: 25 }), all(`/api/v1/admin/orders/${orderId}/agents`), get(`/api/v1/admin/orders/${orderId}`),
      ...["PENDING", "APPROVED", "DENIED", "EXPIRED"].map((status) => get("/api/v1/admin/approvals", { orderId, status, pageSize: 15 })),
    ]);
    commands.data.forEach((one) => this.commands.put(one));
    const here = new Set(agents.data.map((one) => one.id));
    this.agents.everything().forEach((one) => { if (!here.has(one.id)) this.agents.drop(one.id); });
    agents.data.forEach((one) => this.agents.put(one));
    settled.flatMap((one) => one.data).forEach((one) => approvals.put(one));
    this.order.value = order.data;
    this.agents.ready();
    this.commands.ready();
  }

  apply(frame) {
    const { kind, data, revision } = frame;
    if (kind.startsWith("approval.")) approvals.put(data, revision);
    else if (kind.startsWith("command.")) this.commands.put(data, revision);
    else if (kind.startsWith("agent.") && data.isActive) this.agents.put(data, revision);
    else if (kind.startsWith("agent.")) this.agents.drop(data.id);
    else if (kind.startsWith("order.")) this.order.value = data;
    if (!kind.startsWith("approval.") && !kind.startsWith("command.")) this.others.put({ id: frame.cursor, at: frame.at, kind, data });
  }
}

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
        <${ConfigurationPanel} server=${server} /><${AgentList} store=${store} />
        ${(may("keys.revoke") || may("tokens.issue")) && html`<${KeyPanel} server=${server} connected=${connected()} />`}
      </div>
    </div>`;
}

export function Tenant({ id }) {
  const server = servers.get(id);
  if (server) return html`<${Inside} server=${server} />`;
  if (!servers.loaded.value) return html`<h1 class="vh" tabindex="-1">Tenant</h1><${ConnectionBanner} /><div aria-busy="true" aria-label="Loading"><span class="bone bone-l"></span></div>`;
  return html`<section class="empty"><h1 tabindex="-1">There is no such tenant</h1><p>No server has this id.</p><a class="btn" href="/admin/fleet">Fleet</a></section>`;
}
