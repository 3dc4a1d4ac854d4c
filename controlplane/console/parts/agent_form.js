// One agent as a form that is saved whole: who it is, how far it may go, its gates, its character, its tools.
import { NAME_MOST, PROFILES, changeLines, characters, flat, patchOf, told } from "../agent_shape.js";
import { html } from "../html.js";
import { bind } from "../keys.js";
import { useDraft } from "../records.js";
import { useEffect, useMemo, useRef } from "../vendor/hooks.mjs";
import { DiffLine } from "./diff.js";
import { Clash, Entry, SaveBar, useSaving } from "./form.js";
import { Gates } from "./gates.js";
import { LEVELS } from "./level.js";
import { SoulEditor, soulBarred } from "./soul.js";
import { ToolList } from "./tool_list.js";

/** Staff choose a level in the form; nothing is sent before it is saved. */
export function LevelField({ draft, locked, id }) {
  const level = draft.value("autonomyLevel");
  return html`<div class="stack stack-s"><fieldset><legend class="as-label">How far it may go by itself</legend><div class="seg seg-wide">${[1, 2, 3].map((one) => html`<label key=${one}><input type="radio" name=${`level ${id}`} checked=${level === one} disabled=${locked} onChange=${() => draft.set("autonomyLevel", one)} />Level ${one}</label>`)}</div></fieldset>
    <p class="hint">${LEVELS[level]}. Red and critical ask.</p><${Clash} draft=${draft} name="autonomyLevel" /></div>`;
}

export function GateFields({ draft, tools, agent, locked }) {
  const writers = (tools ?? []).filter((one) => one.commandClass === "yellow_external" && draft.value(`list ${one.name}`) === "allowed").map((one) => one.name);
  const gates = [...new Set([...writers, ...Object.keys(agent.externalCommsUnlocks ?? {})])].sort();
  const open = Object.fromEntries(gates.map((tool) => [tool, draft.value(`gate ${tool}`) === true]));
  const turn = (tool, isOpen) => draft.set(`gate ${tool}`, isOpen || (agent.externalCommsUnlocks ?? {})[tool] !== undefined ? isOpen : null);
  return html`<section class="stack stack-s"><h2>Gates to the outside</h2>${gates.length ? html`<${Gates} gates=${gates} open=${open} onTurn=${locked ? null : turn} />${gates.map((tool) => html`<${Clash} key=${tool} draft=${draft} name=${`gate ${tool}`} told=${(value) => `${tool}: ${told(`gate ${tool}`, value)}`} />`)}` : html`<p class="hint">None of its tools writes outside.</p>`}</section>`;
}

function whyBarred(draft) {
  const name = draft.value("name");
  if (!name?.trim()) return "It needs a name.";
  if (characters(name) > NAME_MOST) return `The name is longer than ${NAME_MOST} characters.`;
  return Object.hasOwn(draft.changed, "soulMd") ? soulBarred(draft.value("soulMd")) : null;
}

/** What saving changes besides the character. */
function Changes({ current, changed }) {
  const found = changeLines(current, changed);
  return found.length > 0 && html`<section class="stack stack-s" aria-labelledby="ch-h"><h2 id="ch-h">What else you change</h2><ol class="diff" aria-label="What else saving changes">${found.map(([look, text]) => html`<${DiffLine} key=${`${look} ${text}`} look=${look} text=${text} />`)}</ol></section>`;
}

/**
 * `id`: of the edits; `record`: the agent as it was read, with its version; `send(body, version)`: saves, answers `{data, version}`;
 * `own`: a customer's own hands; `lead(draft)`: what stands beside the character; `done(name)`: what is said once it is saved.
 */
export function AgentForm({ id, record, tools, trouble, send, own = false, locked = false, lead, lockedWords, done }) {
  const agent = record.data;
  const current = useMemo(() => flat(agent), [agent]);
  const draft = useDraft(id, current);
  const save = async (changed) => record.take(await send(patchOf(agent, changed), record.version));
  const saving = useSaving({ draft, save, reload: record.load, done: done(draft.value("name")), barred: whyBarred(draft) });
  const submit = useRef(null);
  submit.current = saving.submit;
  useEffect(() => (locked ? undefined : bind({ "Ctrl s": () => submit.current() })), [locked]);
  const entry = { draft, fault: saving.fault, locked, autocomplete: "off" };
  const placed = ["name", "soulMd", "role", "toolProfile"];
  return html`<form class="stack stack-l" onSubmit=${saving.submit} noValidate><div class="cols cols-lead">
      <div class="stack">
        <${Entry} ...${entry} name="name" label="Name" maxlength="200" />
        ${!own && html`<${Entry} ...${entry} name="role" label="Role" cls="mono" spellcheck=${false} maxlength="63" hint="Its template says which red tools its customer may put back." />
          <${Entry} ...${entry} name="toolProfile" label="Tool profile" kind="select" options=${PROFILES} hint="OpenClaw’s own choice of tools." />`}
        ${lead(draft)}</div>
      <div class="stack stack-l"><${SoulEditor} draft=${draft} current=${current.soulMd} fault=${saving.fault} locked=${locked} own=${own} />
        <${ToolList} tools=${tools} trouble=${trouble} agent=${agent} draft=${draft} fault=${saving.fault} locked=${locked} own=${own} />
        <${Changes} current=${current} changed=${draft.changed} /></div></div>
    ${locked ? html`<p class="hint">${lockedWords}</p>` : html`<div class=${draft.dirty || saving.fault ? "save-dock" : ""}><${SaveBar} draft=${draft} saving=${saving} fields=${placed} /></div>`}</form>`;
}
