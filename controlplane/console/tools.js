// What a tool does, by rule and never by an agent's word: the deed a button names, what to look at twice.

const DEEDS = {
  shell: "Run this command", docker: "Run this on Docker", browser: "Let it browse", database_query: "Run this query",
  package_install: "Install it", image_update: "Update the image", container_remove: "Remove the container",
  backup_restore: "Restore the backup", backup_delete: "Delete the backup", user_create: "Create the user",
  user_disable: "Disable the user", file_permissions: "Change the permissions", server_reboot: "Reboot the server",
  disk_format: "Format the disk", volume_remove: "Remove the volume", stack_remove: "Remove the application",
  database_drop: "Drop the database", firewall_update: "Change the firewall", ssh_key_update: "Change the SSH keys",
  odoo_invoice_post: "Post the invoice", odoo_payment_register: "Register the payment",
  odoo_database_restore: "Restore the database",
};
const APPLICATIONS = {
  nextcloud: "Nextcloud", chatwoot: "Chatwoot", ghost: "Ghost", calcom: "Cal.com", odoo: "Odoo", stalwart: "Stalwart",
  listmonk: "Listmonk", umami: "Umami",
};

/** The application a tool works on, or null. */
export const applicationOf = (tool) => APPLICATIONS[tool.split("_")[0]] ?? null;

/** `ghost_post_publish` is called “Post publish” where its application stands above it. */
export const toolWords = (tool) => tool.slice(applicationOf(tool) ? tool.indexOf("_") + 1 : 0).replaceAll("_", " ").replace(/^./u, (first) => first.toUpperCase());

/** What the last button says: the deed. A count comes from the impact when it is plainly a count. */
export function deed(approval) {
  const tool = approval.toolName;
  if (Object.hasOwn(DEEDS, tool)) return DEEDS[tool];
  const verb = /_(delete|remove|create|update)$/.exec(tool)?.[1];
  const noun = tool.replace(/_(delete|remove|create|update)$/, "").replace(/^[a-z]+_(?=[a-z])/, "").replaceAll("_", " ");
  if (!verb) return `Run ${tool}`;
  const count = /^(\d[\d.,]* [\p{L}]{2,20})\b/u.exec(approval.impact ?? "")?.[1];
  const word = verb[0].toUpperCase() + verb.slice(1);
  return count && (verb === "delete" || verb === "remove") ? `${word} ${count}` : `${word} the ${noun}`;
}

const NAMES = ["volume", "database", "stack", "device", "disk", "name", "username", "user", "account", "backup", "backupId", "container", "service", "server", "host", "path", "id"];

/** What a person types to approve something critical: the name of what is at stake, else the tool's. */
export function nameToType(approval) {
  const args = approval.toolArgs;
  for (const key of NAMES) {
    const value = args && typeof args === "object" ? args[key] : null;
    if (typeof value === "string" && /^[\x21-\x7e]{1,60}$/.test(value)) return value;
  }
  return approval.toolName;
}

const DELETES = /(delete|remove|shell|docker|permissions|format|drop)/;
const RULES = [
  { tool: DELETES, key: /./, value: /\*/, level: "bad", why: "A wildcard: everything that matches, now and later." },
  { tool: DELETES, key: /^recursive$/i, value: true, level: "bad", why: "Every folder inside as well, for good." },
  { tool: /./, key: /^(force|noConfirm|skipChecks)$/i, value: true, level: "bad", why: "Skips the checks that would stop it." },
  { tool: /^shell$/, key: /./, value: /\brm\s+-\w*[rf]/, level: "bad", why: "Deletes without asking." },
  { tool: /^shell$/, key: /./, value: /\b(mkfs\S*|dd\s+if=|shutdown|reboot|chmod\s+(-R\s+)?777)/, level: "bad", why: "Changes the machine itself." },
  { tool: /^shell$/, key: /./, value: /\b(curl|wget)\b[^|]*\|\s*(sudo\s+)?(ba|z)?sh/, level: "bad", why: "Runs what somebody else's server answers." },
  { tool: /^docker$/, key: /./, value: /\b(volume[ _]rm|system[ _]prune|rm\s+-f|kill)\b/, level: "bad", why: "Docker keeps no copy." },
  { tool: /^database_query$/, key: /./, value: /\b(drop|delete|truncate|update|alter)\b/i, level: "bad", why: "Changes the database, and does not only read it." },
  { tool: /^file_permissions$/, key: /mode/i, value: /7$/, level: "bad", why: "Everybody may write." },
  { tool: /^(firewall_update)$/, key: /./, value: /0\.0\.0\.0\/0|::\/0|any/, level: "bad", why: "Open to the whole internet." },
  { tool: /(email_send|newsletter_send|campaign_send|sms_send|reply_send|transactional_send|quote_send|invoice_send)$/, key: /^(to|recipients|list|listId|audience|bcc|cc)$/i, value: /.+/s, level: "warn", why: "What is sent cannot be called back." },
  { tool: /share_create$/, key: /./, value: /public|link/i, level: "warn", why: "Whoever has the link can read it." },
];

const finds = (rule, value) => (rule.value instanceof RegExp ? (typeof value === "string" || typeof value === "number") && rule.value.test(String(value).slice(0, 20_000)) : value === rule.value);

/** What to look at twice in one argument: the rules that found something in it. */
export function dangers(tool, key, value) {
  const values = Array.isArray(value) ? value : [value];
  return RULES.filter((rule) => rule.tool.test(tool) && rule.key.test(key) && values.some((one) => finds(rule, one)));
}

/** `it-admin` as a name, where nobody has told a better one. */
export const titled = (slug) => slug.split("-").map((word) => (word === "it" ? "IT" : word[0]?.toUpperCase() + word.slice(1))).join(" ");
const INITIALS = { "it-admin": "IT", marketing: "MK", secretary: "SE", sales: "SA", dispatcher: "DI" };
export const initials = (slug) => INITIALS[slug] ?? (slug.match(/[\p{L}\p{N}]/gu) ?? ["?"]).slice(0, 2).join("").toUpperCase();
