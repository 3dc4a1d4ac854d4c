// One agent of a customer: its name, character, tools and exceptions, saved whole; its level and its gates, at once.
import { patch } from "../api.js";
import { html } from "../html.js";
import { AgentForm } from "../parts/agent_form.js";
import { useAtOnce } from "../parts/at_once.js";
import { ConnectionBanner } from "../parts/banner.js";
import { Gates } from "../parts/gates.js";
import { Icon } from "../parts/icon.js";
import { LEVELS } from "../parts/level.js";
import { AsOf, Bones, Missing } from "../parts/list.js";
import { Leftover } from "../parts/soul.js";
import { Said } from "../parts/text.js";
import { toast } from "../parts/toast.js";
import { useRecord } from "../records.js";
import { connected } from "../socket.js";
import { agents } from "../store.js";
import { initials } from "../tools.js";
import { useEffect, useRef } from "../vendor/hooks.mjs";
import { AgentState } from "./agents.js";

const Trouble = ({ turns }) => html`${!connected() && html`<p class="hint">You are offline, so nothing can be changed.</p>`}${turns.fault && html`<p class="error" role="alert"><${Icon} name="class-red" />${turns.fault}</p>`}`;
const toldHow = (agent) => (agent.status === "offline" ? "Its server is told when it is back." : "Its server is told at once.");

function Autonomy({ agent, record }) {
  const turns = useAtOnce();
  const level = turns.wanted("level", agent.autonomyLevel);
  const choose = (wanted) => turns.turn("level", wanted, async () => {
    record.take(await patch(`/api/v1/customer/agents/${agent.id}`, { autonomyLevel: wanted }));
    toast(`${agent.name} is on level ${wanted} now. ${toldHow(agent)}`);
  });
  return html`<fieldset class="section" aria-busy=${turns.busy ? "true" : null}><legend class="as-head">How far it may go by itself</legend>
    <div class="choices">${[1, 2, 3].map((one) => html`<label class="check" key=${one}><input type="radio" name="level" checked=${level === one} aria-disabled=${connected() ? null : "true"} onClick=${(event) => { if (!connected()) event.preventDefault(); }} onChange=${() => choose(one)} /><span><b>Level ${one}</b>${level === one && turns.busy ? html` <span class="muted small">saving</span>` : ""}<br /><span class="soft small">${LEVELS[one]}. Red and critical ask.</span></span></label>`)}</div>
    <p class="hint pad-t">The level and the gates count at once; everything else when it is saved.</p><${Trouble} turns=${turns} /></fieldset>`;
}

/** The gates of its tools that write outside, and every gate that was named once. */
function OutsideGates({ agent, tools, record }) {
  const turns = useAtOnce();
  const named = agent.externalCommsUnlocks ?? {};
  const writers = (tools ?? []).filter((one) => one.commandClass === "yellow_external" && agent.toolsAllowed.includes(one.name)).map((one) => one.name);
  const gates = [...new Set([...writers, ...Object.keys(named)])].sort();
  const open = Object.fromEntries(gates.map((tool) => [tool, turns.wanted(tool, named[tool] === true)]));
  const turn = (tool, isOpen) => turns.turn(tool, isOpen, async () => {
    record.take(await patch(`/api/v1/customer/agents/${agent.id}/external-comms`, { unlocks: { [tool]: isOpen } }));
    toast(isOpen ? `${agent.name} may use ${tool} without asking on level 3.` : `${agent.name} asks before it uses ${tool}.`);
  });
  return html`<section class="section"><header><h2>Gates to the outside</h2></header>
    ${gates.length ? html`<${Gates} gates=${gates} open=${open} onItsWay=${turns.onItsWay} onTurn=${connected() ? turn : null} />` : html`<p class="hint none">All shut: whatever leaves your server asks first.</p>`}
    <${Trouble} turns=${turns} /></section>`;
}

/** Read anew as soon as the list of agents tells another one. */
function useFollowed(id, records) {
  const listed = agents.get(id), before = useRef(listed);
  useEffect(() => {
    if (before.current !== listed && agents.loaded.peek()) records.forEach((one) => one.load());
    before.current = listed;
  }, [listed]);
}

const Crumbs = ({ children }) => html`<nav aria-label="Breadcrumb" class="small row"><a href="/customer/agents">Agents</a><span class="muted" aria-hidden="true">/</span><span aria-current="page">${children}</span></nav>`;

export function Agent({ id }) {
  const path = `/api/v1/customer/agents/${encodeURIComponent(id)}`, key = `agent ${id}`;
  const record = useRecord(path), tools = useRecord(`${path}/tools`);
  useFollowed(id, [record, tools]);
  const agent = record.data;
  if (record.fault?.status === 404 || agent?.isActive === false) {
    return html`<${ConnectionBanner} /><section class="empty"><h1 tabindex="-1">${agent ? html`<${Said} text=${agent.name} fold=${80} /> was taken off your server` : "There is no such agent"}</h1><p role="status">${agent ? "LetsBe staff took it off. What it did stays in your history." : "The address may be old."}</p><a class="btn" href="/customer/agents">All agents</a></section><${Leftover} id=${key} word=${agent?.name ?? "this agent"} />`;
  }
  if (!agent) return record.fault ? html`<${Missing} fault=${record.fault} what="agent" back="/customer/agents" word="All agents" />` : html`<h1 class="vh" tabindex="-1">Agent</h1><${ConnectionBanner} /><${Bones} label="the agent" />`;
  const lead = () => html`<${Autonomy} agent=${agent} record=${record} /><${OutsideGates} agent=${agent} tools=${tools.data} record=${record} />`;
  return html`<${ConnectionBanner} />
    <${Crumbs}><${Said} text=${agent.name} fold=${60} /><//>
    <header class="page-head"><div class="row"><span class="agent agent-l" aria-hidden="true">${initials(agent.agentId)}</span><div><h1 tabindex="-1"><${Said} text=${agent.name} fold=${80} /></h1><p class="row"><${AgentState} agent=${agent} /><span class="tag mono">${agent.agentId}</span> <${AsOf} /></p></div></div></header>
    <${AgentForm} id=${key} record=${record} tools=${tools.data} trouble=${tools.fault?.message} own lead=${lead} done=${(name) => `${name} is saved. ${toldHow(agent)}`} send=${(body, version) => patch(path, body, version)} />`;
}
