// What differs between two configurations of a tenant, field by field: a pure function.

const MOST_LINES = 14;
const LISTS = ["toolsAllowed", "toolsDenied"];
const MAPS = ["externalCommsUnlocks", "toolOverrides"];
const VALUES = ["name", "role", "toolProfile", "autonomyLevel"];

const said = (value) => (typeof value === "string" ? value : JSON.stringify(value));

export function ofValue(name, before, after) {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  return [...(before === undefined || before === null ? [] : [["del", `${name}: ${said(before)}`]]), ...(after === undefined || after === null ? [] : [["add", `${name}: ${said(after)}`]])];
}

export function ofList(name, before, after) {
  const old = new Set(before ?? []), fresh = new Set(after ?? []);
  return [...[...old].filter((one) => !fresh.has(one)).map((one) => ["del", `${name}: ${one}`]), ...[...fresh].filter((one) => !old.has(one)).map((one) => ["add", `${name}: ${one}`])];
}

function ofMap(name, before, after) {
  const keys = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].sort();
  return keys.flatMap((key) => ofValue(`${name}.${key}`, (before ?? {})[key], (after ?? {})[key]));
}

/** A longer text by lines: what is the same at its beginning and at its end is left out. */
export function ofText(name, before, after) {
  const old = (before ?? "").split("\n"), fresh = (after ?? "").split("\n");
  let head = 0, tail = 0;
  while (head < Math.min(old.length, fresh.length) && old[head] === fresh[head]) head += 1;
  while (tail < Math.min(old.length, fresh.length) - head && old[old.length - 1 - tail] === fresh[fresh.length - 1 - tail]) tail += 1;
  const lines = (look, all) => {
    const changed = all.slice(head, all.length - tail);
    const shown = changed.slice(0, MOST_LINES).map((line) => [look, line]);
    return changed.length > MOST_LINES ? [...shown, ["", `${changed.length - MOST_LINES} more lines`]] : shown;
  };
  const found = [...lines("del", old), ...lines("add", fresh)];
  return found.length ? [["at", `${name}, from line ${head + 1}`], ...found] : [];
}

function ofAgent(before, after) {
  return [
    ...VALUES.flatMap((name) => ofValue(name, before[name], after[name])),
    ...LISTS.flatMap((name) => ofList(name, before[name], after[name])),
    ...MAPS.flatMap((name) => ofMap(name, before[name], after[name])),
    ...ofText("soulMd", before.soulMd, after.soulMd),
  ];
}

/** Sections `{title, lines}`; a line is `[look, text]` with look `add`, `del`, `at` or nothing. */
export function difference(before, after) {
  const sections = [];
  const put = (title, lines) => { if (lines.length) sections.push({ title, lines }); };
  const old = new Map(before.agents.map((one) => [one.agentId, one])), fresh = new Map(after.agents.map((one) => [one.agentId, one]));
  for (const [slug, agent] of fresh) if (!old.has(slug)) put(`agents / ${slug}`, [["add", `deployed as ${agent.role} on level ${agent.autonomyLevel}, ${agent.toolsAllowed.length} tools`]]);
  for (const [slug, agent] of fresh) if (old.has(slug)) put(`agents / ${slug}`, ofAgent(old.get(slug), agent));
  for (const slug of old.keys()) if (!fresh.has(slug)) put(`agents / ${slug}`, [["del", "taken off the server"]]);
  put("tools", ofMap("class", before.toolTable, after.toolTable));
  put("models", ofMap("route", before.modelRouting, after.modelRouting));
  put("the Hub's own", ofValue("heartbeatSeconds", before.heartbeatSeconds, after.heartbeatSeconds));
  return sections;
}
