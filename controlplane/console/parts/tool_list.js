// The tools of one agent: what becomes of a call of each and why, whether it is on its list, and exceptions.
import { LISTS, RULES, against, barred, judge, told } from "../agent_shape.js";
import { html } from "../html.js";
import { applicationOf, toolWords } from "../tools.js";
import { useState } from "../vendor/hooks.mjs";
import { ClassTag, classOf } from "./class.js";
import { Clash, Wrong } from "./form.js";
import { Icon } from "./icon.js";
import { Said } from "./text.js";

const VERDICTS = { allow: ["check", "ok", "Runs by itself"], ask: ["shield", "warn", "Asks first"], deny: ["refused", "bad", "Never runs"] };
const NAME = /^[A-Za-z][A-Za-z0-9_.:/-]{0,99}$/;

function Choice({ legend, field, options, draft, locked, barredOf, current }) {
  const reasons = [...new Set(options.map(([choice]) => barredOf(choice)).filter(Boolean))];
  return html`<fieldset><legend class="small soft">${legend}</legend><div class="seg seg-wide">${options.map(([choice, word]) => {
    const reason = barredOf(choice);
    return html`<label key=${word} class=${reason ? "barred" : null} title=${reason}><input type="radio" name=${field} checked=${(current ?? null) === choice} disabled=${locked || reason !== null} onChange=${() => draft.set(field, choice)} />${word}</label>`;
  })}</div>${reasons.map((reason) => html`<p class="hint" key=${reason}>${reason}</p>`)}<${Clash} draft=${draft} name=${field} told=${(value) => told(field, value)} /></fieldset>`;
}

function Tool({ tool, agent, draft, fault, locked, own, limited }) {
  const [open, setOpen] = useState(false);
  const { name, commandClass } = tool;
  const fields = [`list ${name}`, `rule ${name}`];
  const wrong = against(fault, name), clash = fields.some((field) => draft.theirs(field));
  const changed = fields.some((field) => Object.hasOwn(draft.changed, field));
  const { verdict, why } = judge(draft.value, tool, limited);
  const [icon, look, word] = VERDICTS[verdict];
  const choose = (field, choices, legend) => html`<${Choice} legend=${legend} field=${`${field} ${name}`} options=${choices} draft=${draft} locked=${locked} current=${draft.value(`${field} ${name}`)} barredOf=${(choice) => barred(agent, tool, field, choice, own)} />`;
  return html`<li><details class="fold-row tool" open=${open || wrong.length > 0 || clash} onToggle=${(event) => setOpen(event.currentTarget.open)}><summary class="item">
      <${Icon} name="next" cls="turn" /><b class=${own ? "" : "mono"}><${Said} text=${own ? toolWords(name) : name} fold=${80} />${changed && html` <span class="tag tag-accent">changed</span>`}</b>
      <span class="row tool-class"><${ClassTag} name=${commandClass} />${commandClass === "yellow_external" && html`<span class="muted small">writes outside</span>`}</span><span class=${`state small ${look}`}><${Icon} name=${icon} />${word}</span></summary>
    <div class="shape"><p class="small soft">${classOf(commandClass).means}. ${word}: ${why[0].toLowerCase()}${why.slice(1)}${own ? html` <span class="mono muted"><${Said} text=${name} fold=${80} /></span>` : ""}</p>
      ${wrong.map((message) => html`<${Wrong} key=${message}><${Said} text=${message} fold=${200} /><//>`)}
      ${choose("list", LISTS, "Its list of tools")}${choose("rule", RULES, "Exception")}
      ${tool.ofRole && html`<p class="hint">${tool.ofRole === "denied" ? "Its role forbids it." : "A tool of its role."}</p>`}</div></details></li>`;
}

/** Another tool, by its name: one the Hub does not know is red. */
function Another({ draft, tools, onAdd }) {
  const [name, setName] = useState("");
  const wrong = name && !NAME.test(name) ? "Letters, digits and _ . : / - only, a letter first." : tools.some((one) => one.name === name) ? "It stands in the list above." : null;
  const add = () => { if (!name || wrong) return; draft.set(`list ${name}`, "allowed"); onAdd(name); setName(""); };
  return html`<div class="field"><label for="another-tool">Another tool, by its name</label><div class="row"><input class="input mono grow" id="another-tool" autocomplete="off" autocapitalize="none" spellcheck=${false} maxlength="100" value=${name} aria-invalid=${wrong ? "true" : null} aria-describedby=${wrong ? "another-tool-e" : "another-tool-h"}
    onInput=${(event) => setName(event.currentTarget.value.trim())} onKeyDown=${(event) => { if (event.key === "Enter") { event.preventDefault(); add(); } }} /><button class="btn" type="button" aria-disabled=${name && !wrong ? null : "true"} onClick=${add}>Put on its list</button></div>
    ${wrong ? html`<${Wrong} id="another-tool-e">${wrong}<//>` : html`<p class="hint" id="another-tool-h">A tool the Hub does not know counts as red: it asks.</p>`}</div>`;
}

/** Every tool that is told, and those which only the agent or the edits name. */
function everything(told, draft, agent) {
  const known = new Set(told.map((one) => one.name));
  const named = [...agent.toolsAllowed, ...agent.toolsDenied, ...Object.keys(agent.toolOverrides ?? {}), ...Object.keys(draft.changed).filter((field) => /^(list|rule) /.test(field)).map((field) => field.slice(5))];
  const others = [...new Set(named)].filter((name) => !known.has(name));
  return [...told, ...others.map((name) => ({ name, commandClass: "red", application: null, ofRole: null }))];
}

/** `tools`: as the Hub lists them, or null while they are on their way; `own`: a customer's own hands. */
export function ToolList({ tools: list, agent, draft, fault, locked, own, trouble }) {
  const [all, setAll] = useState(false), [words, setWords] = useState("");
  if (!list) return html`<section class="section" aria-labelledby="to-h"><header><h2 id="to-h">Tools</h2></header>${trouble ? html`<${Wrong}>${trouble}<//>` : html`<div class="pad-t" aria-busy="true" aria-label="Loading the tools"><span class="bone bone-l"></span></div>`}</section>`;
  const tools = everything(list, draft, agent);
  const limited = tools.some((one) => draft.value(`list ${one.name}`) === "allowed");
  const isOwn = ({ name }) => Boolean(draft.value(`list ${name}`) || draft.value(`rule ${name}`)) || [`list ${name}`, `rule ${name}`].some((field) => Object.hasOwn(draft.changed, field)) || against(fault, name).length > 0;
  const mine = tools.filter(isOwn);
  const sought = words.trim().toLowerCase();
  const shown = sought ? tools.filter((one) => `${one.name} ${toolWords(one.name)}`.toLowerCase().includes(sought)) : all ? tools : mine;
  const groups = shown.reduce((found, one) => found.set(groupOf(one), [...(found.get(groupOf(one)) ?? []), one]), new Map());
  return html`<section class="section stack" aria-labelledby="to-h"><header><h2 id="to-h">Tools</h2></header>
    <p class="hint">${own ? "What this agent may use, and what happens when it does. Forbidden beats everything. An exception comes before the colour and the level; critical always asks." : "Forbidden beats everything. Then an exception counts: never beats asks beats runs, and critical at least asks. Then a tool that is not on the list asks. What is left goes by class, level and gate."}</p>
    ${own && html`<p class="hint">Red tools that its role forbids cannot be taken off here, and red ones it does not have cannot be given: write to LetsBe support.</p>`}
    <div class="row tool-search"><div class="with-icon"><${Icon} name="search" /><input class="input" type="search" aria-label="Find a tool" placeholder="Find a tool" value=${words} maxlength="100" autocomplete="off" onInput=${(event) => setWords(event.currentTarget.value)} onKeyDown=${(event) => { if (event.key === "Enter") event.preventDefault(); }} /><kbd aria-hidden="true">/</kbd></div>
      <button class="chip" type="button" aria-pressed=${!all} onClick=${() => setAll(false)}>Its own ${mine.length}</button><button class="chip" type="button" aria-pressed=${all} onClick=${() => setAll(true)}>All ${tools.length}</button></div>
    ${!limited && html`<p class="hint">Its list is empty: then no tool is off the list, and each goes by its class.</p>`}
    ${shown.length === 0 && html`<p class="hint" role="status">${sought ? "No tool is called so." : "None yet."}</p>`}
    ${[...groups].map(([group, some]) => html`<section key=${group} aria-label=${group}><h3 class="tools-of">${group} <span class="muted">${some.length}</span></h3><ul class="rows tools">${some.map((one) => html`<${Tool} key=${one.name} tool=${one} agent=${agent} draft=${draft} fault=${fault} locked=${locked} own=${own} limited=${limited} />`)}</ul></section>`)}
    ${!own && !locked && html`<${Another} draft=${draft} tools=${tools} onAdd=${() => setWords("")} />`}</section>`;
}

const groupOf = ({ name, application }) => (application ? applicationOf(name) ?? application : "For every server");
