// One agent of a tenant, for staff: character, tools, exceptions, level and gates, saved whole; what its server has of it.
import { patch } from "../api.js";
import { html } from "../html.js";
import { AgentForm, GateFields, LevelField } from "../parts/agent_form.js";
import { ConnectionBanner } from "../parts/banner.js";
import { standing } from "../parts/configuration.js";
import { Icon } from "../parts/icon.js";
import { AsOf, Bones, Missing } from "../parts/list.js";
import { Presence } from "../parts/presence.js";
import { Leftover } from "../parts/soul.js";
import { Said } from "../parts/text.js";
import { useRecord } from "../records.js";
import { may } from "../session.js";
import { servers } from "../store.js";
import { initials } from "../tools.js";

/** What its server is offered, what it has, what happens to the next saving. */
function Offered({ server }) {
  const { configVersion, configAppliedVersion } = server, { icon, look, word, open } = standing(server);
  const away = server.presence === "offline";
  return html`<section class="panel" aria-labelledby="of-h"><header><h2 id="of-h">On its server</h2><span class=${`push state ${look}`}><${Icon} name=${icon} />${word}</span></header><div class="panel-body stack stack-s">
    <dl class="facts"><dt>Server</dt><dd><${Presence} server=${server} /></dd><dt>Offered</dt><dd>${configVersion ? html`<b>${configVersion}</b>` : "none yet"}</dd><dt>Applied</dt><dd>${configAppliedVersion ? html`<b>${configAppliedVersion}</b>` : "none yet"}</dd></dl>
    <p class="hint" role="status">${away ? "What is saved is offered when the server is back." : "What is saved is offered at once."}${open ? ` Until it has applied version ${configVersion}, ${configAppliedVersion ? `it goes by version ${configAppliedVersion}` : "every command that is not green asks"}.` : ""}</p></div></section>`;
}

function Crumbs({ server, children }) {
  return html`<nav aria-label="Breadcrumb" class="small row"><a href="/admin/fleet">Fleet</a><span class="muted" aria-hidden="true">/</span><a href=${`/admin/tenants/${server.id}`}><${Said} text=${server.domain} fold=${60} /></a><span class="muted" aria-hidden="true">/</span><span aria-current="page">${children}</span></nav>`;
}

function Inside({ server, slug }) {
  const path = `/api/v1/admin/orders/${server.orderId}/agents/${encodeURIComponent(slug)}`, id = `agent ${server.orderId} ${slug}`;
  const heard = { topic: `order:${server.orderId}`, concerns: (frame) => frame.kind.startsWith("agent.") && frame.data?.agentId === slug };
  const record = useRecord(path, heard), tools = useRecord(`${path}/tools`, heard);
  const agent = record.data;
  if (record.fault?.status === 404) {
    return html`<${ConnectionBanner} /><${Crumbs} server=${server}>${slug}<//>
      <section class="empty"><h1 tabindex="-1">${agent ? html`<${Said} text=${agent.name} fold=${80} /> was taken off` : "There is no such agent"}</h1><p role="status">${agent ? `Somebody has just taken it off ${server.domain}. Its history stays.` : `Nobody called ${slug} is deployed on ${server.domain}.`}</p><a class="btn" href=${`/admin/tenants/${server.id}`}>The tenant</a></section>
      <${Leftover} id=${id} word=${slug} />`;
  }
  if (!agent) return record.fault ? html`<${Missing} fault=${record.fault} what="agent" back=${`/admin/tenants/${server.id}`} word="The tenant" />` : html`<h1 class="vh" tabindex="-1">Agent</h1><${ConnectionBanner} /><${Bones} label="the agent" />`;
  const locked = !may("agents.write");
  const done = (name) => `${name} is saved. ${server.presence === "offline" ? "Its server is offered it when it is back." : "Its server is offered it at once."}`;
  const lead = (draft) => html`<${LevelField} draft=${draft} locked=${locked} id=${agent.id} /><${GateFields} draft=${draft} tools=${tools.data} agent=${agent} locked=${locked} /><${Offered} server=${server} />`;
  return html`<${ConnectionBanner} /><${Crumbs} server=${server}><${Said} text=${agent.name} fold=${60} /><//>
    <header class="page-head"><div class="row"><span class="agent agent-l" aria-hidden="true">${initials(agent.agentId)}</span><div><h1 tabindex="-1"><${Said} text=${agent.name} fold=${80} /></h1><p class="row"><span class="tag mono">${agent.agentId}</span><${Said} text=${server.domain} fold=${80} /> <${AsOf} /></p></div></div></header>
    <${AgentForm} id=${id} record=${record} tools=${tools.data} trouble=${tools.fault?.message} locked=${locked} lockedWords="Your role may look at agents, not change them." lead=${lead} done=${done} send=${(body, version) => patch(path, body, version)} />`;
}

export function TenantAgent({ id, slug }) {
  const server = servers.get(id);
  if (server) return html`<${Inside} server=${server} slug=${slug} />`;
  if (!servers.loaded.value) return html`<h1 class="vh" tabindex="-1">Agent</h1><${ConnectionBanner} /><${Bones} label="the agent" />`;
  return html`<section class="empty"><h1 tabindex="-1">There is no such tenant</h1><p>No server has this id.</p><a class="btn" href="/admin/fleet">Fleet</a></section>`;
}
