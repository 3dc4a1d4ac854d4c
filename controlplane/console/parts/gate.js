// The frame of the pages before one is signed in.
import { html } from "../html.js";
import { useEffect, useRef } from "../vendor/hooks.mjs";
import { Icon } from "./icon.js";

const SPOKES = [[321.3, 295, 383.4, 317.6], [241.9, 302, 184.7, 335], [276.2, 236.2, 270.4, 170.4], [314.7, 252.9, 421.8, 169.2], [300.7, 318.8, 364.5, 438.9], [259.3, 318.8, 195.5, 438.9], [238.7, 265, 110.9, 218.4], [296.5, 239.2, 347.4, 113.1], [323.6, 273.9, 527.6, 245.2], [312.7, 309.4, 465.8, 447.3], [236.7, 287.6, 33.8, 323.4], [250.6, 247.3, 112.7, 94.2], [309.4, 247.3, 447.3, 94.2]];
const PULSES = [[395, 190.1], [432.3, 417.2], [159.7, 236.2], [413.8, 131.4], [207.3, 322]];

const Art = () => html`<aside class="gate-art" aria-label="About">
  <svg viewBox="0 0 560 560" aria-hidden="true"><circle class="orbit" cx="280" cy="280" r="110" /><circle class="orbit orbit-2" cx="280" cy="280" r="180" /><circle class="orbit orbit-2" cx="280" cy="280" r="250" />
    ${SPOKES.map(([x1, y1, x2, y2]) => html`<line class="spoke" x1=${x1} y1=${y1} x2=${x2} y2=${y2} />`)}
    ${SPOKES.map(([, , x, y], index) => (index === 4 ? html`<circle class="half-r" cx=${x} cy=${y} r="7" /><path class="half" d=${`M${x} ${y - 7}a7 7 0 0 1 0 14z`} />` : html`<circle class="on" cx=${x} cy=${y} r="7" />`))}
    <circle class="off" cx="253.9" cy="528.6" r="7" />${PULSES.map(([x, y]) => html`<circle class="pulse" cx=${x} cy=${y} r="3" />`)}
    <path class="arc" d="M290 248.6a33 33 0 1 0 20.3 18.4" /><circle class="hub" cx="280" cy="280" r="13" /><circle class="hub" cx="305" cy="255" r="6" /></svg>
  <div><h2>Agents work. People decide.</h2><p>Every server holds one line to the Hub. A risky command stops there until someone says yes, and what was approved is exactly what runs.</p></div>
</aside>`;

export const Gate = ({ children, foot }) => html`<div class="gate"><main id="main" class="gate-main">
  <a class="brand" href="/sign-in"><${Icon} name="mark" />LetsBe <span>Hub</span></a>${children}<p class="gate-foot">${foot}</p></main><${Art} /></div>`;

/** One labelled field with its error. */
export function Field({ id, label, error, hint, cls = "", ...input }) {
  const self = useRef(null);
  useEffect(() => { // the attribute alone works once a page, and not for what a script puts there
    if (input.autofocus && !document.activeElement?.matches("input, textarea")) self.current.focus();
  }, []);
  return html`<div class="field"><label for=${id}>${label}</label>
    <input ref=${self} class=${`input input-l ${cls}`} id=${id} name=${id} ...${input} aria-invalid=${error ? "true" : null} aria-describedby=${error ? `${id}-e` : hint ? `${id}-h` : null} />
    ${hint && html`<p class="hint" id=${`${id}-h`}>${hint}</p>`}
    ${error && html`<p class="error" id=${`${id}-e`} role="alert"><${Icon} name="class-red" />${error}</p>`}</div>`;
}
