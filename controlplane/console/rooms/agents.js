// A customer's agents: who they are, how they are, how far they may go.
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Icon } from "../parts/icon.js";
import { Level } from "../parts/level.js";
import { Said } from "../parts/text.js";
import { agents } from "../store.js";
import { when } from "../time.js";
import { initials } from "../tools.js";

const STATES = { active: ["online", "ok", "Active"], idle: ["ring", "soft", "Idle"], offline: ["ring", "bad", "Offline"], error: ["class-red", "bad", "In trouble"], unknown: ["ring", "soft", "Not heard of yet"] };

export function AgentState({ agent }) {
  const [icon, look, word] = STATES[agent.status] ?? ["ring", "soft", agent.status];
  return html`<span class=${`state ${look}`}><${Icon} name=${icon} /><${Said} text=${word} fold=${40} /></span> ${agent.lastActiveAt && html`<span class="muted">${when(agent.lastActiveAt, "")}</span>`}`;
}

export function Agents() {
  const list = agents.all().sort((one, other) => one.name.localeCompare(other.name));
  return html`<${ConnectionBanner} />
    <header class="page-head"><div><h1 tabindex="-1">Agents</h1><p>Red and critical commands always ask you, whatever the level.</p></div></header>
    ${!agents.loaded.value ? html`<div aria-busy="true" aria-label="Loading"><span class="bone bone-l"></span></div>`
      : list.length ? html`<ul class="rows">${list.map((agent) => html`<li class="item" key=${agent.id}><span class="agent agent-l" aria-hidden="true">${initials(agent.agentId)}</span>
        <div><a class="walk name-link" href=${`/customer/agents/${agent.id}`}><${Said} text=${agent.name} fold=${80} /></a><p><${AgentState} agent=${agent} /></p></div><div class="small"><${Level} level=${agent.autonomyLevel} /></div></li>`)}</ul>`
      : html`<section class="empty"><${Icon} name="agents" /><h2>No agents yet</h2><p>They show up here as soon as they are deployed on your server.</p></section>`}`;
}
