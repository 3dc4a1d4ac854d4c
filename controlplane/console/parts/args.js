// What a command will run: its arguments one by one, marks by rule, and the exact JSON with its fingerprint.
import { html } from "../html.js";
import { applicationOf, dangers } from "../tools.js";
import { Icon } from "./icon.js";
import { Said, visible } from "./text.js";

const MOST_ROWS = 40;

const lookOf = (rule) => (rule.level === "bad" ? "danger" : "danger danger-warn");

/** Where rules found something: `[from, to, rule]`, in order, without overlap. */
function places(text, found) {
  const all = found.filter((rule) => rule.value instanceof RegExp).map((rule) => { const match = rule.value.exec(text); return match && [match.index, match.index + match[0].length, rule]; })
    .filter(Boolean).sort((one, other) => one[0] - other[0]);
  return all.filter(([from], index) => index === 0 || from >= all[index - 1][1]);
}

/** A value with what was found in it marked; a long one is marked as a whole. */
function Marked({ text, found }) {
  if (!found.length) return html`<${Said} text=${text} fold=${400} />`;
  const marks = text.length <= 400 ? places(text, found) : [];
  if (!marks.length) return html`<mark class=${lookOf(found[0])}><${Said} text=${text} fold=${400} /></mark>`;
  const pieces = [];
  let at = 0;
  for (const [from, to, rule] of marks) {
    pieces.push(visible(text.slice(at, from)), html`<mark class=${lookOf(rule)}>${visible(text.slice(from, to))}</mark>`);
    at = to;
  }
  return html`<bdi dir="auto" class="said">${pieces}${visible(text.slice(at))}</bdi>`;
}

/** `said`: what the row above has said already. */
function Argument({ name, value, found, said, icon }) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return html`<div><dt><${Said} text=${name} fold=${120} /></dt><dd><${Marked} text=${text} found=${found} /></dd>${found.filter((rule) => !said.includes(rule)).map((rule) => html`
    <dd key=${rule.why} class=${rule.level === "bad" ? "why" : "why why-warn"}><${Icon} name=${icon} />${rule.why}</dd>`)}</div>`;
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
  const shown = rows.slice(0, MOST_ROWS).map(([name, value]) => ({ name, value, found: dangers(toolName, name, value) }));
  const exact = JSON.stringify({ args: ordered(toolArgs), tool: toolName }, null, 2);
  return html`<div class="args" role="group" aria-label="What it will run">
      <header><span>Tool <b class="mono"><${Said} text=${toolName} fold=${120} /></b></span><span>${applicationOf(toolName)}</span></header>
      ${rows.length ? html`<dl>${shown.map((row, index) => html`<${Argument} key=${row.name} ...${row} said=${index ? shown[index - 1].found : []} icon=${`class-${look}`} />`)}
        ${rows.length > MOST_ROWS && html`<div><dt>…</dt><dd>${rows.length - MOST_ROWS} more, shown below</dd></div>`}</dl>` : html`<p class="none">No arguments.</p>`}
    </div>
    <details class="more">
      <summary><${Icon} name="next" />Show exactly what runs</summary>
      <pre class="code" tabindex="0" aria-label="The command as JSON"><${Said} text=${exact} fold=${2000} /></pre>
      <p class="hint">Fingerprint <span class="mono">${argsHash.slice(0, 4)} ${argsHash.slice(4, 8)} … ${argsHash.slice(-4)}</span>. The server runs this and nothing else; if one character changes, it asks again.</p>
    </details>`;
}
