// One agent of a customer: its character, tools, gates to the outside, and the level of its autonomy.
import { patch } from "../api.js";
import { html } from "../html.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Gates } from "../parts/gates.js";
import { Icon } from "../parts/icon.js";
import { LEVELS } from "../parts/level.js";
import { Said } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { connected } from "../socket.js";
import { agents } from "../store.js";
import { initials } from "../tools.js";
import { useState } from "../vendor/hooks.mjs";
import { AgentState } from "./agents.js";

function Tools({ title, list, empty }) {
  return html`<section class="section"><header><h2>${title}</h2><span class="muted push">${list.length}</span></header>
    ${list.length ? html`<ul class="tags">${list.map((tool) => html`<li class="tag mono" key=${tool}>${tool}</li>`)}</ul>` : html`<p class="hint none">${empty}</p>`}</section>`;
}

function Autonomy({ agent }) {
  const [chosen, setChosen] = useState(null); // on its way to the Hub
  const [trouble, setTrouble] = useState(null);
  async function choose(level) {
    if (chosen !== null || !connected()) return;
    setChosen(level);
    setTrouble(null);
    try {
      const { data } = await patch(`/api/v1/customer/agents/${agent.id}`, { autonomyLevel: level });
      agents.put(data);
      toast(`${agent.name} is on level ${level} now. Its server is told at once.`);
    } catch (fault) { setTrouble(`${fault.message} Nothing has changed.`); } finally { setChosen(null); }
  }
  return html`<fieldset class="section"><legend class="as-head">How far it may go by itself</legend>
    <div class="choices">${[1, 2, 3].map((level) => html`<label class="check" key=${level}><input type="radio" name="level" checked=${(chosen ?? agent.autonomyLevel) === level} aria-disabled=${connected() ? null : "true"} onChange=${() => choose(level)} /><span><b>Level ${level}</b><br /><span class="soft small">${LEVELS[level]}. Red and critical ask.</span></span></label>`)}</div>
    ${!connected() && html`<p class="hint">You are offline, so nothing can be changed.</p>`}
    ${trouble && html`<p class="error" role="alert"><${Icon} name="class-red" />${trouble}</p>`}</fieldset>`;
}

/** Only gates its role knows: a gate once named can be opened and shut. */
function OutsideGates({ agent }) {
  const [busy, setBusy] = useState(null); // the gate on its way to the Hub
  const [trouble, setTrouble] = useState(null);
  const open = { ...agent.externalCommsUnlocks, ...busy };
  async function turn(tool, isOpen) {
    setBusy({ [tool]: isOpen });
    setTrouble(null);
    try {
      agents.put((await patch(`/api/v1/customer/agents/${agent.id}/external-comms`, { unlocks: { [tool]: isOpen } })).data);
      toast(isOpen ? `${agent.name} may use ${tool} without asking on level 3.` : `${agent.name} asks before it uses ${tool}.`);
    } catch (fault) { setTrouble(`${fault.message} Nothing has changed.`); } finally { setBusy(null); }
  }
  return html`<section class="section"><header><h2>Gates to the outside</h2></header>
    ${Object.keys(open).length ? html`<${Gates} gates=${Object.keys(open).sort()} open=${open} busy=${busy !== null} onTurn=${connected() ? turn : null} />` : html`<p class="hint none">All shut: whatever leaves your server asks first.</p>`}
    ${trouble && html`<p class="error" role="alert"><${Icon} name="class-red" />${trouble}</p>`}</section>`;
}

export function Agent({ id }) {
  const agent = agents.get(id);
  if (!agents.loaded.value) return html`<h1 class="vh" tabindex="-1">Agent</h1><div aria-busy="true" aria-label="Loading"><span class="bone bone-l"></span></div>`;
  if (!agent) return html`<section class="empty"><h1 tabindex="-1">There is no such agent</h1><p>It may have been removed.</p><a class="btn" href="/customer/agents">All agents</a></section>`;
  const overrides = Object.entries(agent.toolOverrides ?? {});
  return html`<${ConnectionBanner} />
    <nav aria-label="Breadcrumb" class="small row"><a href="/customer/agents">Agents</a><span class="muted" aria-hidden="true">/</span><span aria-current="page"><${Said} text=${agent.name} fold=${60} /></span></nav>
    <header class="page-head"><div class="row"><span class="agent agent-l" aria-hidden="true">${initials(agent.agentId)}</span><div><h1 tabindex="-1"><${Said} text=${agent.name} fold=${80} /></h1><p class="row"><${AgentState} agent=${agent} /><span class="tag mono">${agent.agentId}</span></p></div></div></header>
    <div class="cols cols-aside"><div class="stack stack-l">
      <${Autonomy} agent=${agent} />
      <${Tools} title="Tools it may use" list=${agent.toolsAllowed} empty="None." />
      <${Tools} title="Tools it may never use" list=${agent.toolsDenied} empty="None beyond those of its role." />
      ${overrides.length > 0 && html`<section class="section"><header><h2>Exceptions</h2></header><dl class="facts pad-t">${overrides.map(([tool, rule]) => html`<dt class="mono" key=${tool}>${tool}</dt><dd>${{ allow: "runs without asking", ask: "always asks", deny: "never runs" }[rule] ?? rule}</dd>`)}</dl></section>`}
      <section class="section"><header><h2>Character</h2></header><pre class="code" tabindex="0" aria-label="Its character in its own words"><${Said} text=${agent.soulMd} fold=${1500} /></pre></section>
    </div><aside class="stack" aria-label="Gates"><${OutsideGates} agent=${agent} /></aside></div>`;
}
