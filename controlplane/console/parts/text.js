// Text that others wrote: always text, its direction isolated, hidden characters shown, long pieces folded.
import { html } from "../html.js";
import { useState } from "../vendor/hooks.mjs";

const FOLD = 700;
// Characters that steer or hide what one reads: bidirectional controls, zero-width ones, controls but tab and line break.
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/gu;

const codeOf = (sign) => `U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** A text in pieces, hidden characters as visible marks: `U+202E` stands where the character would turn the line. */
export function visible(text) {
  const pieces = [];
  let at = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > at) pieces.push(text.slice(at, match.index));
    pieces.push(html`<span class="hidden-sign" title="A character that cannot be seen">${codeOf(match[0])}</span>`);
    at = match.index + match[0].length;
  }
  if (at < text.length) pieces.push(text.slice(at));
  return pieces;
}

/** The characters of a text that cannot be seen: `{code, count, line}`, each kind once with the line it is first in. */
export function unseen(text) {
  const found = new Map();
  for (const match of text.matchAll(HIDDEN)) {
    const known = found.get(match[0]);
    if (known) known.count += 1;
    else found.set(match[0], { code: codeOf(match[0]), count: 1, line: text.slice(0, match.index).split("\n").length });
  }
  return [...found.values()];
}

export const size = (letters) => (letters < 10_000 ? `${letters.toLocaleString("en")} characters` : `${Math.round(letters / 1024)} KB`);

/** Words of an agent, of a person or of a server. `fold`: longer texts show so much and a button for the rest. */
export function Said({ text, fold = FOLD, cls = "" }) {
  const [open, setOpen] = useState(false);
  const whole = String(text ?? "");
  const long = whole.length > fold * 1.3;
  const shown = long && !open ? whole.slice(0, fold) : whole;
  return html`<bdi dir="auto" class=${`said ${cls}`}>${visible(shown)}${long && !open ? "…" : ""}</bdi>${long && html`
    <button type="button" class="btn btn-s fold" aria-expanded=${open} onClick=${() => setOpen(!open)}>
      ${open ? "Show less" : `Show all ${size(whole.length)}`}</button>`}`;
}
