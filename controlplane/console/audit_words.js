// The audit log in words: what an action is called, what an id stands for, what differs between before and after. Pure functions.
import { ofList, ofText, ofValue } from "./configuration_diff.js";

/** What an action begins with, how that is called, and its icon. */
export const FAMILIES = [
  ["agent.", "Agents", "agents"], ["api_key.", "API keys of callers", "key"], ["approval.", "Approvals", "shield"], ["audit.", "The audit log", "eye"],
  ["command.", "Commands", "terminal"], ["customer.", "Customers", "users"], ["founding_member.", "Founding members", "users"], ["order.", "Orders", "order"],
  ["password.", "Passwords", "lock"], ["preferences.", "Preferences", "mail"], ["profile.", "Profiles", "user"], ["promises.", "Promises", "send"], ["server.", "Servers", "server"],
  ["session.", "Sessions", "logout"], ["sessions.", "Sessions, all at once", "logout"], ["settings.", "Settings", "settings"], ["setup.", "Setup", "home"],
  ["staff.", "Staff", "user"], ["subscription.", "Subscriptions", "order"], ["two_factor.", "Second factors", "shield"], ["usage.", "Usage", "chart"],
];
const familyOf = (action) => `${action.split(".")[0]}.`;
export const iconOf = (action) => FAMILIES.find(([family]) => family === familyOf(action))?.[2] ?? "history";

/** `order.registration_token_issued` in words: `Order registration token issued`. */
export const actionWords = (action) => action.replace(/[._]/g, " ").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase().replace(/^api key/, "API key").replace(/^two factor/, "second factor").replace(/^./u, (first) => first.toUpperCase());

const FILTERS = { aud: "entryId", cust: "customerId", ord: "orderId", req: "requestId" };
/** Which filter an id is looked up by; everything about a customer or an order, and otherwise what was changed. */
export const filterOf = (id) => FILTERS[id.split("_")[0]] ?? "target";
/** The filters that are ids: of them the search has one at a time. */
export const ID_FILTERS = ["entryId", "customerId", "orderId", "requestId", "target"];

const PAGES = { ord: "orders", cust: "customers", stf: "staff", srv: "tenants", appr: "approvals" };
/** Where somebody reads about what was changed, or who changed it; null: there is no such page. */
export function pageOf(id) {
  const [prefix, rest] = (id ?? "").split("_");
  if (id === "settings") return "/admin/settings";
  if (prefix === "key" && rest) return "/admin/api-keys";
  return rest && PAGES[prefix] ? `/admin/${PAGES[prefix]}/${id}` : null;
}

/** The span of two days as the Hub asks for it: from the first one's beginning to the last one's end (UTC). */
export function spanOf({ from, to }) {
  const after = to && new Date(Date.parse(`${to}T00:00:00Z`) + 86_400_000);
  return { ...(from ? { from: `${from}T00:00:00Z` } : {}), ...(after ? { to: after.toISOString() } : {}) };
}

const HIDDEN = "•••";
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const isPlainList = (value) => Array.isArray(value) && value.every((one) => one === null || typeof one !== "object");
const said = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const under = (path, name) => (path ? `${path}.${name}` : name);

function lines(path, before, after) {
  if (isObject(before ?? after) && isObject(after ?? before)) {
    const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
    return names.flatMap((name) => lines(under(path, name), before?.[name], after?.[name]));
  }
  const name = path || "value";
  if (before === HIDDEN && after === HIDDEN) return [["", `${name}: ${HIDDEN}, another one now`]];
  if (JSON.stringify(before) === JSON.stringify(after)) return before === null || before === undefined ? [] : [["", `${name}: ${said(before)}`]];
  if (isPlainList(before ?? after) && isPlainList(after ?? before)) return ofList(name, before, after);
  if ([before, after].some((one) => typeof one === "string" && one.includes("\n"))) return ofText(name, before, after);
  return ofValue(name, before, after);
}

/** Lines `[look, text]` of what an entry says was before and after; look: `add`, `del`, `at` or nothing. */
export const changes = (before, after) => (before === null && after === null ? [] : lines("", before ?? undefined, after ?? undefined));
