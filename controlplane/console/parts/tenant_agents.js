// A tenant's agents as staff see them: level and gates at once, the way to all else; deploying one, taking one off.
import { get, patch, post, remove } from "../api.js";
import { html } from "../html.js";
import { hasDraft } from "../records.js";
import { may } from "../session.js";
import { connected } from "../socket.js";
import { initials } from "../tools.js";
import { useEffect, useState } from "../vendor/hooks.mjs";
import { useAtOnce } from "./at_once.js";
import { Dialog } from "./dialog.js";
import { Gates } from "./gates.js";
import { Icon } from "./icon.js";
import { LEVELS, Level } from "./level.js";
import { useSending } from "./sending.js";
import { Said } from "./text.js";
import { toast } from "./toast.js";
import { Typed } from "./typed.js";

const TRIES = 4; // as often may somebody else be quicker

/** Turns one gate. The Hub takes all gates of an agent as one, so they are read first, and again when somebody was quicker. */
async function turnOne(path, tool, isOpen, left = TRIES) {
  const { data, version } = await get(path);
  try { return await patch(path, { externalCommsUnlocks: { ...data.externalCommsUnlocks, [tool]: isOpen } }, version); } catch (refusal) {
    if (refusal.status !== 409 || left <= 1) throw refusal;
    return turnOne(path, tool, isOpen, left - 1);
  }
}

const OVERRIDES = { allow: "runs without asking", ask: "always asks", deny: "never runs" };

function Shape({ agent: listed, server, store }) {
  const { id } = listed, agent = store.agents.peek(id) ?? listed; // as the last answer told it, before the list is drawn anew
  const turns = useAtOnce();
  const [leaving, setLeaving] = useState(false);
  const allowed = may("agents.write");
  const path = `/api/v1/admin/orders/${server.orderId}/agents/${agent.agentId}`;
  const table = store.configuration.value?.offered?.config.toolTable ?? {};
  const named = agent.externalCommsUnlocks ?? {};
  const gates = [...new Set([...agent.toolsAllowed.filter((tool) => table[tool] === "yellow_external"), ...Object.keys(named)])].sort();
  const open = Object.fromEntries(gates.map((tool) => [tool, turns.wanted(`gate ${tool}`, named[tool] === true)]));
  const level = turns.wanted("level", agent.autonomyLevel);
  const overrides = Object.entries(agent.toolOverrides ?? {});

  const change = (name, value, send, done) => turns.turn(name, value, async () => {
    store.agents.put((await send()).data);
    toast(done);
  });
  const told = server.presence === "offline" ? "Its server is told when it is back." : "Its server is told at once.";
  const setLevel = (wanted) => change("level", wanted, () => patch(path, { autonomyLevel: wanted }), `${agent.name} is on level ${wanted} now. ${told}`);
  const turnGate = (tool, isOpen) => change(`gate ${tool}`, isOpen, () => turnOne(path, tool, isOpen), `${tool} of ${agent.name} is ${isOpen ? "open" : "shut"} now. ${told}`);
  return html`<div class="shape">
    <a class="btn btn-s" href=${`/admin/tenants/${server.id}/agents/${agent.agentId}`}><${Icon} name="agents" />Character, tools, exceptions${hasDraft(`agent ${server.orderId} ${agent.agentId}`) && html` <span class="warn">• not saved yet</span>`}</a>
    <fieldset aria-busy=${turns.onItsWay("level") ? "true" : null}><legend class="small soft">How far it may go by itself</legend><div class="seg seg-wide">${[1, 2, 3].map((one) => html`<label key=${one} title=${LEVELS[one]}><input type="radio" name=${`level-${id}`} checked=${level === one} aria-disabled=${allowed && connected() ? null : "true"}
      onClick=${(event) => { if (!allowed || !connected()) event.preventDefault(); }} onChange=${() => setLevel(one)} />Level ${one}</label>`)}</div><p class="hint">${LEVELS[level]}. Red and critical ask.${turns.onItsWay("level") ? " (saving)" : ""}</p></fieldset>
    <section><h3>Gates to the outside</h3>${gates.length ? html`<${Gates} gates=${gates} open=${open} onItsWay=${(tool) => turns.onItsWay(`gate ${tool}`)} onTurn=${allowed && connected() ? turnGate : null} />` : html`<p class="hint">None of its tools writes outside.</p>`}</section>
    <section><h3>Exceptions</h3>${overrides.length ? html`<dl class="facts">${overrides.map(([tool, rule]) => html`<dt class="mono" key=${tool}>${tool}</dt><dd>${OVERRIDES[rule] ?? rule}</dd>`)}</dl>` : html`<p class="hint">None: every tool goes by its class and the level.</p>`}</section>
    <details class="more"><summary><${Icon} name="next" />${agent.toolsAllowed.length} tools allowed, ${agent.toolsDenied.length} forbidden, profile ${agent.toolProfile}</summary>
      <ul class="tags">${agent.toolsAllowed.map((tool) => html`<li class="tag mono" key=${tool}>${tool}</li>`)}</ul>${agent.toolsDenied.length > 0 && html`<p class="small soft">Forbidden</p><ul class="tags">${agent.toolsDenied.map((tool) => html`<li class="tag mono" key=${tool}>${tool}</li>`)}</ul>`}</details>
    ${turns.fault && html`<p class="error" role="alert"><${Icon} name="class-red" />${turns.fault}</p>`}
    ${!connected() && html`<p class="hint">You are offline, so nothing can be changed.</p>`}
    ${allowed ? html`<div><button class="btn btn-s" type="button" aria-disabled=${connected() ? null : "true"} onClick=${() => connected() && setLeaving(true)}>Take off the server…</button></div>` : html`<p class="hint">Your role may look at agents, not change them.</p>`}
    ${leaving && html`<${Typed} title=${`Take ${agent.name} off ${server.domain}?`} name=${agent.agentId} keep="Keep it" go="Take it off" onClose=${() => setLeaving(false)}
      act=${async () => { await remove(path); store.agents.drop(agent.id); toast(`${agent.name} is off the server. Its history stays.`); }}>It gets no more work as soon as the server has applied this. What it asked for can still be decided; its history stays.<//>`}
  </div>`;
}

function Deploy({ server, store, onClose }) {
  const [templates, setTemplates] = useState(null);
  const [role, setRole] = useState(null);
  const here = new Set(store.agents.all().map((one) => one.agentId));
  useEffect(() => { get("/api/v1/admin/agents/templates").then(({ data }) => setTemplates(data), setFault); }, []);
  const why = !connected() ? "You are offline, so nothing can be done." : role ? null : "Choose a role first.";
  const { busy, fault, setFault, submit } = useSending(async () => {
    const { data } = await post(`/api/v1/admin/orders/${server.orderId}/agents`, { role });
    store.agents.put(data);
    toast(`${data.name} is deployed on level ${data.autonomyLevel}.`);
    onClose();
  }, { why });
  return html`<${Dialog} label=${`Deploy an agent on ${server.domain}`} onClose=${onClose}><form onSubmit=${submit}><h2>Deploy an agent</h2>
    ${templates ? html`<fieldset class="choices"><legend class="vh">Role</legend>${templates.map((one) => html`<label class="check" key=${one.id}><input type="radio" name="role" checked=${role === one.id} disabled=${here.has(one.id)} onChange=${() => setRole(one.id)} /><span><b>${one.name}</b> <span class="muted small">level ${one.autonomyLevel}</span><br /><span class="soft small">${here.has(one.id) ? "Is there already." : one.description}</span></span></label>`)}</fieldset>` : !fault && html`<span class="bone bone-box" aria-label="Loading"></span>`}
    ${fault && html`<p class="error" role="alert"><${Icon} name="class-red" />${fault.message} Nothing was deployed.</p>`}
    <div class="actions"><button class="btn" type="button" onClick=${onClose}>Cancel</button><button class="btn btn-main" type="submit" aria-busy=${busy} aria-disabled=${why ? "true" : null} title=${why}>${busy ? "Deploying" : "Deploy"}</button></div></form><//>`;
}

export function AgentList({ server, store }) {
  const [deploying, setDeploying] = useState(false);
  const list = store.agents.all().filter((one) => one.isActive).sort((one, other) => one.name.localeCompare(other.name));
  return html`<section class="section" aria-labelledby="agl"><header><h2 id="agl">Agents</h2>${may("agents.write") && html`<button class="btn btn-s push" type="button" aria-disabled=${connected() ? null : "true"} onClick=${() => connected() && setDeploying(true)}><${Icon} name="plus" />Deploy…</button>`}</header>
    ${!store.agents.loaded.value ? html`<div class="pad-t" aria-busy="true" aria-label="Loading the agents"><span class="bone bone-l"></span></div>`
      : list.length ? html`<ul class="rows">${list.map((agent) => html`<li key=${agent.id}><details class="fold-row"><summary class="item"><span class="agent" aria-hidden="true">${initials(agent.agentId)}</span><div><b><${Said} text=${agent.name} fold=${80} /></b><p class="muted"><span><${Said} text=${agent.role} fold=${60} />, ${agent.toolsAllowed.length} tools</span></p></div><div class="small"><${Level} level=${agent.autonomyLevel} /><${Icon} name="next" cls="turn" /></div></summary>
        <${Shape} agent=${agent} server=${server} store=${store} /></details></li>`)}</ul>` : html`<p class="hint none">No agent is deployed here. ${may("agents.write") ? "Deploy one, and it is offered to the server at once." : ""}</p>`}
    <p class="hint">Level 1 asks for everything but green. Level 2 runs yellow. Level 3 may also write to people outside, where unlocked. Red and critical always ask.</p>
    ${deploying && html`<${Deploy} server=${server} store=${store} onClose=${() => setDeploying(false)} />`}</section>`;
}
