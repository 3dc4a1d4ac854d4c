// Lines that go and lines that come: with what differs within a line, and with every character that cannot be seen.
import { html } from "../html.js";
import { counts, lineDifference, paired, stretches, within } from "../line_diff.js";
import { useMemo, useState } from "../vendor/hooks.mjs";
import { Said, visible } from "./text.js";

const WORDS = { add: "added: ", del: "removed: " };
/** So much of a line stands on each side of what differs in it, and so much of that. */
const AROUND = 70;
const MOST_OF_LINE = 600;
/** So many lines are shown at first. */
const MOST_ROWS = 120;

const END = /^[\udc00-\udfff]/, START = /[\ud800-\udbff]$/;
const lastOf = (text) => (text.length > AROUND ? `…${text.slice(-AROUND).replace(END, "")}` : text);
const firstOf = (text) => (text.length > AROUND ? `${text.slice(0, AROUND).replace(START, "")}…` : text);

/** One line, `other`: the line it stands for or is replaced by, where there is one. */
function Text({ look, text, other }) {
  const parts = other === null || other === undefined ? null : look === "del" ? within(text, other) : within(other, text);
  if (!parts) return html`<${Said} text=${text} fold=${240} />`;
  const middle = look === "del" ? parts.before : parts.after;
  return html`<bdi dir="auto" class="said">${visible(lastOf(parts.head))}${middle && html`<mark class="differs">${middle.length > MOST_OF_LINE ? html`<${Said} text=${middle} fold=${MOST_OF_LINE / 2} />` : visible(middle)}</mark>`}${visible(firstOf(parts.tail))}</bdi>`;
}

/** `look`: `add`, `del`, `at` (where it is), or nothing for a line that stays. */
export const DiffLine = ({ look, text, other }) => html`<li class=${look || null}><span><span class="vh">${WORDS[look] ?? ""}${text ? "" : "an empty line"}</span><${Text} look=${look} text=${text} other=${other} /></span></li>`;

const lines = (count) => `${count.toLocaleString("en")} ${count === 1 ? "line" : "lines"}`;

/** Two texts, before and after, as what a change of the first into the second does. `label`: what the list is of. */
export function TextDiff({ before, after, label }) {
  const [all, setAll] = useState(false);
  const { rows, added, removed } = useMemo(() => { const found = lineDifference(before, after); return { rows: paired(found), ...counts(found) }; }, [before, after]);
  if (!added && !removed) return html`<p class="hint">Both read the same line by line.</p>`;
  const found = stretches(rows);
  const shown = [];
  let left = all ? Infinity : MOST_ROWS;
  for (const one of found) {
    if (left <= 0) break;
    shown.push({ ...one, rows: one.rows.slice(0, left) });
    left -= one.rows.length;
  }
  const total = found.reduce((sum, one) => sum + one.rows.length, 0);
  return html`<div class="stack stack-s"><p class="small soft"><span class="bad">−${lines(removed)}</span> <span class="ok">+${lines(added)}</span></p>
    <ol class="diff" aria-label=${label}>${shown.flatMap((stretch, index) => [
      stretch.skipped > 0 && html`<li class="at" key=${`at ${index}`}>${lines(stretch.skipped)} as before</li>`,
      ...stretch.rows.map((row) => html`<${DiffLine} key=${`${row.old} ${row.fresh}`} ...${row} />`),
    ])}</ol>
    ${total > MOST_ROWS && html`<div><button class="btn btn-s" type="button" aria-expanded=${all} onClick=${() => setAll(!all)}>${all ? "Show less" : `Show all ${lines(total)}`}</button></div>`}</div>`;
}
