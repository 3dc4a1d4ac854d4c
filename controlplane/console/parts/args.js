// What a command will run: its arguments one by one, marks by rule, and the exact JSON with its fingerprint.
import { html } from "../html.js";
import { applicationOf, danger } from "../tools.js";
import { Icon } from "./icon.js";
import { Said } from "./text.js";

const MOST_ROWS = 40;

function Argument({ tool, name, value, icon }) {
  const mark = danger(tool, name, value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const said = html`<${Said} text=${text} fold=${400} />`;
  return html`<div><dt><${Said} text=${name} fold=${120} /></dt>
    <dd>${mark ? html`<mark class=${mark.level === "bad" ? "danger" : "danger danger-warn"}>${said}</mark>` : said}</dd>${mark && html`
    <dd class=${mark.level === "bad" ? "why" : "why why-warn"}><${Icon} name=${icon} />${mark.why}</dd>`}</div>`;
}

/** Keys in order, as the fingerprint is taken (RFC 8785 orders them too). */
function ordered(value) {
  if (Array.isArray(value)) return value.map(ordered);
  if (value && typeof value === "object") return Object.fromEntries(Object.keys(value).sort().map((key) => [key, ordered(value[key])]));
  return value;
}

export function Arguments({ approval, look }) {
  const { toolName, toolArgs, argsHash } = approval;
  const rows = toolArgs && typeof toolArgs === "object" && !Array.isArray(toolArgs) ? Object.entries(toolArgs) : [["arguments", toolArgs]];
  const exact = JSON.stringify({ args: ordered(toolArgs), tool: toolName }, null, 2);
  return html`<section class="args" aria-label="What it will run">
      <header><span>Tool <b class="mono"><${Said} text=${toolName} fold=${120} /></b></span><span>${applicationOf(toolName)}</span></header>
      ${rows.length ? html`<dl>${rows.slice(0, MOST_ROWS).map(([name, value]) => html`<${Argument} key=${name} tool=${toolName} name=${name} value=${value} icon=${`class-${look}`} />`)}
        ${rows.length > MOST_ROWS && html`<div><dt>…</dt><dd>${rows.length - MOST_ROWS} more, shown below</dd></div>`}</dl>` : html`<p class="none">No arguments.</p>`}
    </section>
    <details class="more">
      <summary><${Icon} name="next" />Show exactly what runs</summary>
      <pre class="code" tabindex="0" aria-label="The command as JSON"><${Said} text=${exact} fold=${2000} /></pre>
      <p class="hint">Fingerprint <span class="mono">${argsHash.slice(0, 4)} ${argsHash.slice(4, 8)} … ${argsHash.slice(-4)}</span>. The server runs this and nothing else; if one character changes, it asks again.</p>
    </details>`;
}
