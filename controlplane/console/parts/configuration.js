// A tenant's configuration: what is offered beside what its server has applied, and what differs.
import { difference } from "../configuration_diff.js";
import { html } from "../html.js";
import { now, span, when } from "../time.js";
import { DiffLine } from "./diff.js";
import { Icon } from "./icon.js";
import { Said } from "./text.js";

const MOST_SECTIONS = 8;
const short = (hash) => (hash ? html`<span class="mono muted" title=${hash}>${hash.slice(0, 4)}…${hash.slice(-2)}</span>` : null);

function Difference({ before, after }) {
  const sections = difference(before, after);
  if (!sections.length) return html`<p class="hint">Both say the same; only the number is new.</p>`;
  return html`<ol class="diff" aria-label=${`What configuration ${after.configVersion} changes`}>${sections.slice(0, MOST_SECTIONS).flatMap(({ title, lines }) => [
    html`<li class="at" key=${title}>${title}</li>`,
    ...lines.map(([look, text, other], index) => html`<${DiffLine} key=${`${title} ${index}`} look=${look} text=${text} other=${other} />`),
  ])}${sections.length > MOST_SECTIONS && html`<li class="at">and ${sections.length - MOST_SECTIONS} more</li>`}</ol>`;
}

function Version({ kept, number }) {
  if (!number) return html`<dd class="muted">none yet</dd>`;
  return html`<dd><b>${number}</b> ${kept ? html`<span class="muted">${when(kept.createdAt)}</span> ${short(kept.config.configHash)}` : html`<span class="muted">no longer kept</span>`}</dd>`;
}

/** How far a server is with what it is offered: `{icon, look, word, open}`. `both`: its whole configurations, or null. */
export function standing({ configVersion, configAppliedVersion, configError }, both = null) {
  const open = configVersion > configAppliedVersion;
  const waits = open && both?.offered ? span(now.value - Date.parse(both.offered.createdAt)) : "";
  const [icon, look, word] = configError ? ["class-red", "bad", "Failed to apply"] : open ? ["late", "warn", waits ? `Not applied for ${waits}` : "Not yet applied"] : configVersion ? ["check", "ok", "Applied"] : ["ring", "soft", "None yet"];
  return { icon, look, word, open };
}

export function ConfigurationPanel({ server, store }) {
  const { configVersion, configAppliedVersion, configError } = server;
  const both = store.configuration.value;
  const { icon, look, word, open } = standing(server, both);
  const offered = both?.offered?.config.configVersion === configVersion ? both.offered : null;
  const applied = both?.applied?.config.configVersion === configAppliedVersion ? both.applied : null;
  return html`<section class="panel" aria-labelledby="cf"><header><h2 id="cf">Configuration</h2><span class=${`push state ${look}`}><${Icon} name=${icon} />${word}</span></header>
    <div class="panel-body stack"><dl class="facts"><dt>Offered</dt><${Version} kept=${offered} number=${configVersion} /><dt>Applied</dt><${Version} kept=${applied} number=${configAppliedVersion} /></dl>
    ${configError && html`<pre class="code" tabindex="0" aria-label="Why it failed"><${Said} text=${configError} fold=${400} /></pre>`}
    ${open && offered && applied && html`<${Difference} before=${applied.config} after=${offered.config} />`}
    ${open && html`<p class="hint">${configAppliedVersion ? `Until it is applied the server keeps version ${configAppliedVersion}.` : "Until it is applied every command that is not green asks."}</p>`}
    ${!configVersion && html`<p class="hint">The first one is written when an agent is deployed or the server says hello.</p>`}</div></section>`;
}
