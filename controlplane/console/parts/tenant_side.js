// Beside a tenant's timeline: its configuration, offered and applied, and its agents.
import { html } from "../html.js";
import { initials } from "../tools.js";
import { Icon } from "./icon.js";
import { Level } from "./level.js";
import { Said } from "./text.js";

export function ConfigurationPanel({ server }) {
  const { configVersion, configAppliedVersion, configError } = server;
  const open = configVersion > configAppliedVersion;
  const [icon, look, word] = configError ? ["class-red", "bad", "Failed to apply"] : open ? ["late", "warn", "Not yet applied"] : configVersion ? ["check", "ok", "Applied"] : ["ring", "soft", "None yet"];
  return html`<section class="panel" aria-labelledby="cf"><header><h2 id="cf">Configuration</h2><span class=${`push state ${look}`}><${Icon} name=${icon} />${word}</span></header>
    <div class="panel-body stack"><dl class="facts"><dt>Offered</dt><dd><b>${configVersion || "–"}</b></dd><dt>Applied</dt><dd><b>${configAppliedVersion || "–"}</b></dd></dl>
    ${configError && html`<pre class="code" tabindex="0" aria-label="Why it failed"><${Said} text=${configError} fold=${400} /></pre>`}
    ${open && !configError && html`<p class="hint">${configAppliedVersion ? `Until it is applied the server keeps version ${configAppliedVersion}.` : "Until it is applied every command that is not green asks."}</p>`}</div></section>`;
}

export function AgentList({ store }) {
  const list = store.agents.all().filter((one) => one.isActive).sort((one, other) => one.name.localeCompare(other.name));
  return html`<section class="section" aria-labelledby="agl"><header><h2 id="agl">Agents</h2></header>
    ${list.length ? html`<ul class="rows">${list.map((agent) => html`<li class="item" key=${agent.id}><span class="agent" aria-hidden="true">${initials(agent.agentId)}</span><div><b><${Said} text=${agent.name} fold=${80} /></b><p class="muted"><span><${Said} text=${agent.role} fold=${60} />, ${agent.toolsAllowed.length} tools</span></p></div><div class="small"><${Level} level=${agent.autonomyLevel} /></div></li>`)}</ul>` : html`<p class="hint none">No agent is deployed here.</p>`}
    <p class="hint">Level 1 asks for everything but green. Level 2 runs yellow. Level 3 may also write to people outside, where unlocked. Red and critical always ask.</p></section>`;
}
