// What differs between two texts, line by line: pure functions.

/** So many steps a comparison may take; a text that is other through and through is told as a whole. */
const MOST_STEPS = 2_000_000;
const MOST_EDITS = 1_000;

/**
 * The shortest edit from one list of lines to another (Myers, “An O(ND) Difference Algorithm”, 1986): pairs `[old, fresh]` of
 * lines that stay, by their index; null where it would take too long.
 */
function kept(old, fresh) {
  const most = Math.min(old.length + fresh.length, MOST_EDITS), reach = new Int32Array(2 * most + 3), trace = [];
  let steps = 0;
  for (let edits = 0; edits <= most; edits += 1) {
    for (let way = -edits; way <= edits; way += 2) {
      const down = way === -edits || (way !== edits && reach[way - 1 + most + 1] < reach[way + 1 + most + 1]);
      let x = down ? reach[way + 1 + most + 1] : reach[way - 1 + most + 1] + 1, y = x - way;
      while (x < old.length && y < fresh.length && old[x] === fresh[y]) { x += 1; y += 1; steps += 1; }
      reach[way + most + 1] = x;
      if (x >= old.length && y >= fresh.length) return walkBack(trace, old.length, fresh.length);
    }
    steps += edits + 1;
    if (steps > MOST_STEPS) return null;
    trace.push(reach.slice(most + 1 - edits, most + 2 + edits)); // of this round: the ways from -edits to edits
  }
  return null;
}

function walkBack(trace, oldLength, freshLength) {
  const pairs = [];
  let x = oldLength, y = freshLength;
  for (let edits = trace.length; edits > 0; edits -= 1) {
    const before = trace[edits - 1], at = (way) => before[way + edits - 1] ?? -1, way = x - y;
    const down = way === -edits || (way !== edits && at(way - 1) < at(way + 1));
    const from = down ? at(way + 1) : at(way - 1), fromY = from - (down ? way + 1 : way - 1);
    const startX = down ? from : from + 1;
    while (x > startX) { x -= 1; y -= 1; pairs.push([x, y]); }
    x = from;
    y = fromY;
  }
  while (x > 0 && y > 0) { x -= 1; y -= 1; pairs.push([x, y]); }
  return pairs.reverse();
}

/**
 * Rows `{look, text, old, fresh}`: look `del`, `add` or nothing for a line that stays; `old`, `fresh`: its number in each text,
 * from 1, or null. What goes stands before what comes. Line breaks of every kind are one.
 */
export function lineDifference(before, after) {
  const old = lines(before), fresh = lines(after);
  let head = 0, tail = 0;
  const shorter = Math.min(old.length, fresh.length);
  while (head < shorter && old[head] === fresh[head]) head += 1;
  while (tail < shorter - head && old[old.length - 1 - tail] === fresh[fresh.length - 1 - tail]) tail += 1;
  const pairs = kept(old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail)) ?? [];
  const rows = [];
  const stay = (x, y) => rows.push({ look: "", text: old[x], old: x + 1, fresh: y + 1 });
  let x = 0, y = 0;
  const until = (toX, toY) => {
    for (; x < toX; x += 1) rows.push({ look: "del", text: old[x], old: x + 1, fresh: null });
    for (; y < toY; y += 1) rows.push({ look: "add", text: fresh[y], old: null, fresh: y + 1 });
  };
  for (; x < head; x += 1, y += 1) stay(x, y);
  for (const [inOld, inFresh] of pairs) {
    until(head + inOld, head + inFresh);
    stay(x, y);
    x += 1;
    y += 1;
  }
  until(old.length - tail, fresh.length - tail);
  for (; x < old.length; x += 1, y += 1) stay(x, y);
  return rows;
}

/** A text's lines; none of an empty text. */
export const lines = (text) => (text ? text.split(/\r\n?|\n/u) : []);

export const counts = (rows) => ({ added: rows.filter((one) => one.look === "add").length, removed: rows.filter((one) => one.look === "del").length });

/** Stretches with changes and so many lines around them: `{skipped, rows}`, `skipped` lines that stay stand before each. */
export function stretches(rows, around = 2) {
  const near = new Uint8Array(rows.length);
  rows.forEach((one, index) => { if (one.look) near.fill(1, Math.max(0, index - around), index + around + 1); });
  const found = [];
  let skipped = 0, open = null;
  rows.forEach((one, index) => {
    if (!near[index]) { skipped += 1; open = null; return; }
    if (!open) found.push((open = { skipped, rows: [] }));
    skipped = 0;
    open.rows.push(one);
  });
  return found;
}

const splits = (text, at) => at > 0 && at < text.length && /[\ud800-\udbff]/.test(text[at - 1]) && /[\udc00-\udfff]/.test(text[at]);

/** What differs within a line: `{head, before, after, tail}`, whole characters; null where hardly anything stays. */
export function within(before, after) {
  const shorter = Math.min(before.length, after.length);
  let head = 0, tail = 0;
  while (head < shorter && before[head] === after[head]) head += 1;
  if (splits(before, head) || splits(after, head)) head -= 1;
  while (tail < shorter - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  if (splits(before, before.length - tail) || splits(after, after.length - tail)) tail -= 1;
  if (head + tail < Math.max(3, shorter * 0.2)) return null;
  return { head: before.slice(0, head), before: before.slice(head, before.length - tail), after: after.slice(head, after.length - tail), tail: before.slice(before.length - tail) };
}

/** Rows in which a line that goes and the one that comes for it know what differs: `{…row, other}`. */
export function paired(rows) {
  const found = rows.map((one) => ({ ...one, other: null }));
  for (let at = 0; at < found.length;) {
    let middle = at;
    while (found[middle]?.look === "del") middle += 1;
    let end = middle;
    while (found[end]?.look === "add") end += 1;
    for (let step = 0; step < Math.min(middle - at, end - middle); step += 1) {
      const gone = found[at + step], come = found[middle + step];
      gone.other = come.text;
      come.other = gone.text;
    }
    at = Math.max(end, at + 1);
  }
  return found;
}
