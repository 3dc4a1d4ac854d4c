// An agent's gates to the outside: tool by tool, open or shut.
import { html } from "../html.js";
import { Said } from "./text.js";

/** `onTurn(tool, open)`: null where nothing may be changed. */
export function Gates({ gates, open, busy, onTurn }) {
  return html`<ul class="gates">${gates.map((tool) => {
    const isOpen = open[tool] === true;
    return html`<li key=${tool}><label class="check"><input type="checkbox" checked=${isOpen} aria-disabled=${!onTurn || busy ? "true" : null} onClick=${(event) => { if (!onTurn || busy) event.preventDefault(); }} onChange=${(event) => onTurn(tool, event.currentTarget.checked)} />
      <span><span class="mono"><${Said} text=${tool} fold=${80} /></span><br /><span class="soft small">${isOpen ? "open: writes outside on level 3 without asking" : "shut: asks first"}</span></span></label></li>`;
  })}</ul>`;
}
