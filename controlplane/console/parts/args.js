// What a command will run: its arguments one by one, marks by rule, and the exact JSON with its fingerprint.
import { html } from "../html.js";
import { applicationOf, danger } from "../tools.js";
import { Icon } from "./icon.js";
import { Said, visible } from "./text.js";

const MOST_ROWS = 40;

/** A value with what was found in it marked; a long one is marked as a whole. */
function Marked({ text, found }) {
  if (!found) return html`<${Said} text=${text} fold=${400} />`;
  const cls = found.level === "bad" ? "danger" : "danger danger-warn";
  const match = found.value instanceof RegExp && text.length <= 400 ? found.value.exec(text) : null;
  if (!match) return html`<mark class=${cls}><${Said} text=${text} fold=${400} /></mark>`;
  const end = match.index + match[0].length;
  return html`<bdi dir="auto">${visible(text.slice(0, match.index))}<mark class=${cls}>${visible(match[0])}</mark>${visible(text.slice(end))}</bdi>`;
}

/** `quiet`: the row above says the same. */
function Argument({ name, value, found, quiet, icon }) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return html`<div><dt><${Said} text=${name} fold=${120} /></dt><dd><${Marked} text=${text} found=${found} /></dd>${found && !quiet && html`
    <dd class=${found.level === "bad" ? "why" : "why why-warn"}><${Icon} name=${icon} />${found.why}</dd>`}</div>`;
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
  const shown = rows.slice(0, MOST_ROWS).map(([name, value]) => ({ name, value, found: danger(toolName, name, value) }));
  const exact = JSON.stringify({ args: ordered(toolArgs), tool: toolName }, null, 2);
  return html`<div class="args" role="group" aria-label="What it will run">
      <header><span>Tool <b class="mono"><${Said} text=${toolName} fold=${120} /></b></span><span>${applicationOf(toolName)}</span></header>
      ${rows.length ? html`<dl>${shown.map((row, index) => html`<${Argument} key=${row.name} ...${row} quiet=${index > 0 && shown[index - 1].found?.why === row.found?.why} icon=${`class-${look}`} />`)}
        ${rows.length > MOST_ROWS && html`<div><dt>…</dt><dd>${rows.length - MOST_ROWS} more, shown below</dd></div>`}</dl>` : html`<p class="none">No arguments.</p>`}
    </div>
    <details class="more">
      <summary><${Icon} name="next" />Show exactly what runs</summary>
      <pre class="code" tabindex="0" aria-label="The command as JSON"><${Said} text=${exact} fold=${2000} /></pre>
      <p class="hint">Fingerprint <span class="mono">${argsHash.slice(0, 4)} ${argsHash.slice(4, 8)} … ${argsHash.slice(-4)}</span>. The server runs this and nothing else; if one character changes, it asks again.</p>
    </details>`;
}
