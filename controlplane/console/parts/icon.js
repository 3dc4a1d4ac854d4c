// One icon of the sprite.
import { html } from "../html.js";

const SPRITE = new URL("../icons.svg", import.meta.url).pathname;
export const Icon = ({ name, cls = "" }) => html`<svg class=${`ic ${cls}`} aria-hidden="true"><use href=${`${SPRITE}#i-${name}`} /></svg>`;
