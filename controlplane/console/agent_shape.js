// An agent as fields that are edited one by one, what its tools then do, and who may change what: pure functions.

export const SOUL_MOST = 100_000;
export const NAME_MOST = 100;
export const PROFILES = [["minimal", "minimal"], ["coding", "coding"], ["messaging", "messaging"], ["full", "full"]];
const VALUES = ["name", "role", "toolProfile", "autonomyLevel"];

/** As the Hub counts: a character beyond U+FFFF is one. */
export function characters(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/**
 * An agent as fields: its values, and for each tool `list …` (`allowed`, `denied`), `rule …` (`allow`, `ask`, `deny`) and `gate …`
 * (true, false), each absent where nothing is said. So two people who change different tools do not meet.
 */
export function flat(agent) {
  const fields = { ...Object.fromEntries(VALUES.map((name) => [name, agent[name]])), soulMd: agent.soulMd.replace(/\r\n?/g, "\n") };
  for (const tool of agent.toolsAllowed) fields[`list ${tool}`] = "allowed";
  for (const tool of agent.toolsDenied) fields[`list ${tool}`] = "denied";
  for (const [tool, rule] of Object.entries(agent.toolOverrides ?? {})) fields[`rule ${tool}`] = rule;
  for (const [tool, isOpen] of Object.entries(agent.externalCommsUnlocks ?? {})) fields[`gate ${tool}`] = isOpen;
  return fields;
}

const toolOf = (kind, name) => (name.startsWith(`${kind} `) ? name.slice(kind.length + 1) : null);

/** What is sent for these changes of an agent: whole lists where one of their tools is another. */
export function patchOf(agent, changed) {
  const body = {};
  const take = (field, before) => (body[field] ??= before);
  for (const [name, value] of Object.entries(changed)) {
    const listed = toolOf("list", name), ruled = toolOf("rule", name), gate = toolOf("gate", name);
    if (listed !== null) {
      for (const [field, word] of [["toolsAllowed", "allowed"], ["toolsDenied", "denied"]]) {
        const has = agent[field].includes(listed);
        if (value === word && !has) take(field, [...agent[field]]).push(listed);
        else if (value !== word && has) body[field] = take(field, agent[field]).filter((tool) => tool !== listed);
      }
    } else if (ruled !== null) entry(take("toolOverrides", { ...agent.toolOverrides }), ruled, value);
    else if (gate !== null) entry(take("externalCommsUnlocks", { ...agent.externalCommsUnlocks }), gate, value);
    else body[name] = value;
  }
  return body;
}

function entry(map, key, value) {
  if (value === null || value === undefined) delete map[key];
  else map[key] = value;
}

const RED = ["red", "critical_red"];
const WORDS = { green: "Green", yellow: "Yellow", yellow_external: "What writes outside", red: "Red", critical_red: "Critical" };

/**
 * What becomes of a call of one tool, and why, as the server's wrapper judges it. `value`: of `useDraft`, by field;
 * `limited`: the agent has a list of tools. Answers `{verdict: "allow" | "ask" | "deny", why}`.
 */
export function judge(value, { name, commandClass }, limited) {
  const list = value(`list ${name}`), rule = value(`rule ${name}`), level = value("autonomyLevel");
  if (list === "denied") return { verdict: "deny", why: "It is forbidden, whatever else is said here." };
  if (rule === "allow" && commandClass === "critical_red") return { verdict: "ask", why: "Critical always asks, whatever its exception says." };
  if (rule) return { verdict: rule, why: { allow: "By its exception.", ask: "By its exception.", deny: "By its exception." }[rule] };
  if (limited && list !== "allowed") return { verdict: "ask", why: "It is not on the list." };
  switch (commandClass) {
    case "green": return { verdict: "allow", why: "Green runs on every level." };
    case "yellow": return level >= 2 ? { verdict: "allow", why: "Yellow runs from level 2 on." } : { verdict: "ask", why: "Yellow asks on level 1." };
    case "yellow_external": return level < 3 ? { verdict: "ask", why: "What writes outside asks below level 3." } : value(`gate ${name}`) === true ? { verdict: "allow", why: "Its gate is open, and the level is 3." } : { verdict: "ask", why: "Its gate is shut." };
    default: return { verdict: "ask", why: `${WORDS[commandClass] ?? "Red"} always asks.` };
  }
}

/**
 * Why a choice is not to be had, or null. `agent`: as it is saved; `tool`: of the Hub's list of tools; `own`: the customer's own
 * hands, who may narrow an agent freely and widen it short of what is red.
 */
export function barred(agent, tool, field, choice, own) {
  const { name, commandClass, ofRole } = tool, red = RED.includes(commandClass);
  const saved = { list: agent.toolsDenied.includes(name) ? "denied" : agent.toolsAllowed.includes(name) ? "allowed" : null, rule: agent.toolOverrides?.[name] ?? null };
  if (choice === saved[field]) return null;
  if (field === "rule" && choice === "allow" && commandClass === "critical_red") return "Critical always asks.";
  if (!own) return null;
  if (field === "list") {
    if (saved.list === "denied" && red) return `${WORDS[commandClass]}, and forbidden${ofRole === "denied" ? " by its role" : ""}: only LetsBe support can take that off.`;
    if (choice === "allowed" && red && ofRole !== "allowed") return `${WORDS[commandClass]}, and not of its role: LetsBe support can give it.`;
  }
  if (field === "rule") {
    if (saved.rule === "deny" && red) return `${WORDS[commandClass]}, and set to never run: only LetsBe support can take that off.`;
    if (choice === "allow" && commandClass === "yellow_external") return "It writes outside: its gate decides that.";
    if (choice === "allow" && red) return `${WORDS[commandClass]} keeps asking.`;
  }
  return null;
}

export const LISTS = [["allowed", "On its list"], [null, "Not on it"], ["denied", "Forbidden"]];
export const RULES = [[null, "None"], ["allow", "Runs"], ["ask", "Asks"], ["deny", "Never"]];
const NAMED = { name: "Name", role: "Role", toolProfile: "Tool profile", autonomyLevel: "Level", soulMd: "Character" };

/** A field's value in words. */
export function told(field, value) {
  if (field.startsWith("list ")) return { allowed: "on its list", denied: "forbidden" }[value] ?? "not on its list";
  if (field.startsWith("rule ")) return { allow: "exception: runs without asking", ask: "exception: always asks", deny: "exception: never runs" }[value] ?? "no exception";
  if (field.startsWith("gate ")) return value === true ? "gate open" : "gate shut";
  return String(value ?? "");
}
/** What a field is of: a tool, or a value of the agent. */
export const subject = (field) => NAMED[field] ?? field.slice(field.indexOf(" ") + 1);
/** All changes but that of the character, as lines before and after. */
export const changeLines = (current, changed) => Object.entries(changed).filter(([field]) => field !== "soulMd").sort(([one], [other]) => subject(one).localeCompare(subject(other)))
  .flatMap(([field, value]) => [["del", `${subject(field)}: ${told(field, current[field])}`], ["add", `${subject(field)}: ${told(field, value)}`]]);

/** What the Hub says against one tool, in one of its fields. */
export function against(fault, tool) {
  if (!Array.isArray(fault?.details)) return [];
  return fault.details.filter(({ field, message }) => [`toolOverrides.${tool}`, `externalCommsUnlocks.${tool}`].includes(field) || (/^tools(Allowed|Denied)$/.test(field) && message.startsWith(`${tool} `))).map((one) => one.message);
}
