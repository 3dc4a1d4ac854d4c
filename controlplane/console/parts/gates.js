// An agent's gates to the outside: tool by tool, open or shut.
import { html } from "../html.js";
import { Said } from "./text.js";

/** `onTurn(tool, open)`: null where nothing may be changed; `onItsWay(tool)`: the Hub has not answered yet. */
export function Gates({ gates, open, onTurn, onItsWay = () => false }) {
  return html`<ul class="gates">${gates.map((tool) => {
    const isOpen = open[tool] === true;
    return html`<li key=${tool} aria-busy=${onItsWay(tool) ? "true" : null}><label class="check"><input type="checkbox" checked=${isOpen} aria-disabled=${onTurn ? null : "true"} onClick=${(event) => { if (!onTurn) event.preventDefault(); }} onChange=${(event) => onTurn?.(tool, event.currentTarget.checked)} />
      <span><span class="mono"><${Said} text=${tool} fold=${80} /></span><br /><span class="soft small">${isOpen ? "open: writes outside on level 3 without asking" : "shut: asks first"}${onItsWay(tool) ? " (saving)" : ""}</span></span></label></li>`;
  })}</ul>`;
}
