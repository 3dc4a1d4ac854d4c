// Somebody's face: their photo, or their letters.
import { html } from "../html.js";

const letters = (name) => (name || "?").split(/\s+/u).filter(Boolean).map((word) => [...word][0]).slice(0, 2).join("").toUpperCase();

/** Beside a name that is written out: nothing to read aloud. */
export const Face = ({ name, image, cls = "" }) => (image ? html`<img class=${`agent person ${cls}`} src=${image} alt="" />` : html`<span class=${`agent person ${cls}`} aria-hidden="true">${letters(name)}</span>`);
