// All keys, and the switch for the single letters.
import { html } from "../html.js";
import { setSingleKeys, singleKeys } from "../keys.js";
import { isStaff, may } from "../session.js";
import { signal } from "../vendor/signals.mjs";
import { Dialog } from "./dialog.js";

export const helpOpen = signal(false);

const KEYS = () => [
  [["Ctrl", "K"], "search and commands"], ...(isStaff() ? [[["G", "F"], "fleet"], [["G", "O"], "orders"], [["G", "C"], "customers"], ...(may("audit.read") ? [[["G", "L"], "audit log"]] : [])] : [[["G", "D"], "home"], [["G", "S"], "agents"], [["G", "U"], "usage"], [["G", "H"], "history"]]), [["G", "A"], "approvals"], [["G", "P"], "your account"],
  ...(isStaff() ? [[["Space"], "pause or follow the events"]] : []), [["/"], "search this list"], [["J"], "next row or card; from one on also ↓"], [["K"], "previous row or card; from one on also ↑"],
  [["D"], "deny the request in focus (opens the reason)"], [["A"], "approve: opens step 2, or goes to the button; never decides alone"],
  [["Ctrl", "S"], "save the agent that is open"], [["T"], "theme: system, light, dark"], [["?"], "this list"], [["Esc"], "close, or back one step"],
];

export function Help() {
  if (!helpOpen.value) return null;
  const close = () => { helpOpen.value = false; };
  return html`<${Dialog} label="Keys" onClose=${close}><div><h2>Keys</h2>
    <dl class="keys">${KEYS().map(([keys, word]) => html`<div key=${word}><dt>${keys.map((one) => html`<kbd>${one}</kbd> `)}</dt><dd>${word}</dd></div>`)}</dl>
    <label class="check"><input type="checkbox" checked=${singleKeys.value} onChange=${(event) => setSingleKeys(event.currentTarget.checked)} /><span>Single letters work as keys</span></label>
    <div class="actions"><button class="btn" type="button" onClick=${close}>Close</button></div></div><//>`;
}
