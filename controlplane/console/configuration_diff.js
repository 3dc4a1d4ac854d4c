// What differs between two configurations of a tenant, field by field: a pure function.
import { lineDifference, paired, stretches } from "./line_diff.js";

const MOST_LINES = 28;
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

/** A longer text by lines; what is the same is left out. */
export function ofText(name, before, after) {
  const found = stretches(paired(lineDifference(before ?? "", after ?? "")), 0).flatMap(({ rows }) => [
    ["at", `${name}, from line ${rows[0].fresh ?? rows[0].old}`], ...rows.map(({ look, text, other }) => [look, text, other]),
  ]);
  return found.length > MOST_LINES ? [...found.slice(0, MOST_LINES), ["", `${found.length - MOST_LINES} more lines`]] : found;
}

function ofAgent(before, after) {
  return [
    ...VALUES.flatMap((name) => ofValue(name, before[name], after[name])),
    ...LISTS.flatMap((name) => ofList(name, before[name], after[name])),
    ...MAPS.flatMap((name) => ofMap(name, before[name], after[name])),
    ...ofText("soulMd", before.soulMd, after.soulMd),
  ];
}

/** Sections `{title, lines}`; a line is `[look, text, other]` with look `add`, `del`, `at` or nothing, `other` the line it replaces. */
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
