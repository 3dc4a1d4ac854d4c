// Above many requests: a search and the classes, with counts.
import { html } from "../html.js";
import { isStaff } from "../session.js";
import { servers } from "../store.js";
import { useState } from "../vendor/hooks.mjs";
import { RANK, classOf } from "./class.js";
import { Icon } from "./icon.js";

const FEW = 5;

/** What a request can be found by. */
function said(one, tenants) {
  const server = tenants.get(one.orderId);
  return `${one.humanReadable.slice(0, 2000)} ${one.toolName} ${one.agentId} ${server ? `${server.domain} ${server.company ?? ""}` : ""}`.toLowerCase();
}

export function useApprovalFilter() {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(null); // a class
  const words = text.toLowerCase().split(/\s+/u).filter(Boolean);
  const tenants = new Map(words.length && isStaff() ? servers.all().map((one) => [one.orderId, one]) : []);
  const found = (one) => words.length === 0 || words.every((word) => one.id === word || said(one, tenants).includes(word));
  return {
    text, setText, chosen, setChosen, found, active: words.length > 0 || chosen !== null,
    fits: (one) => (chosen === null || one.commandClass === chosen) && found(one),
    clear: () => { setText(""); setChosen(null); },
  };
}

export function ApprovalFilters({ filter, waiting }) {
  if (waiting.length <= FEW && !filter.active) return null;
  const found = waiting.filter(filter.found);
  const classes = [...RANK].reverse().filter((name) => waiting.some((one) => one.commandClass === name));
  return html`<div class="filters"><label class="with-icon"><span class="vh">Search requests</span><${Icon} name="search" /><input class="input" type="search" placeholder=${isStaff() ? "Search request, tool, agent, tenant" : "Search request, tool, agent"} value=${filter.text} onInput=${(event) => filter.setText(event.currentTarget.value)} /><kbd>/</kbd></label>
    <div class="scroll-x" role="group" aria-label="Classes">${classes.map((name) => html`<button class="chip" type="button" key=${name} aria-pressed=${filter.chosen === name} onClick=${() => filter.setChosen(filter.chosen === name ? null : name)}><${Icon} name=${`class-${classOf(name).look}`} />${name === "yellow_external" ? "Leaves the server" : classOf(name).word} <b>${found.filter((one) => one.commandClass === name).length}</b></button>`)}
      ${filter.active && html`<span class="small soft" role="status">${found.filter(filter.fits).length} of ${waiting.length}</span><button class="as-link small" type="button" onClick=${filter.clear}>Show all</button>`}</div></div>`;
}
