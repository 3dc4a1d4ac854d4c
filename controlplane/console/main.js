// The console: which room, in which frame, for whom.
import { onSignedOut } from "./api.js";
import { html } from "./html.js";
import { bind, pressOnCard, walk } from "./keys.js";
import { spoken } from "./parts/announce.js";
import { CustomerFrame, StaffFrame } from "./parts/frames.js";
import { Help, helpOpen } from "./parts/help.js";
import { Palette, paletteOpen } from "./parts/palette.js";
import { nextTheme } from "./parts/theme.js";
import { Toasts, toast } from "./parts/toast.js";
import { Approvals } from "./rooms/approvals.js";
import { Fleet } from "./rooms/fleet.js";
import { LINKS, Link } from "./rooms/link.js";
import { Setup } from "./rooms/setup.js";
import { SignIn, after } from "./rooms/sign_in.js";
import { onDemand } from "./on_demand.js";
import { forgetDrafts } from "./records.js";
import { go, parts, path } from "./router.js";
import { home, loadSession, may, session } from "./session.js";
import { onRole, start, stop } from "./socket.js";
import { approvals, forget, pending, watchAgents, watchApprovals, watchFleet } from "./store.js";
import { useLocalZone, zone } from "./time.js";
import { useEffect } from "./vendor/hooks.mjs";
import { render } from "./vendor/preact.mjs";
import { computed, effect, untracked } from "./vendor/signals.mjs";

// What is looked at first comes with the page; the others are fetched when they are visited.
const Account = onDemand("Account", () => import("./rooms/account.js"));
const Agent = onDemand("Agent", () => import("./rooms/agent.js")), Agents = onDemand("Agents", () => import("./rooms/agents.js"));
const Customer = onDemand("Customer", () => import("./rooms/customer.js")), Customers = onDemand("Customers", () => import("./rooms/customers.js"));
const Audit = onDemand("Audit", () => import("./rooms/audit.js"));
const Billing = onDemand("Billing", () => import("./rooms/billing.js")), Backups = onDemand("Backups", () => import("./rooms/backups.js"));
const Dashboard = onDemand("Dashboard", () => import("./rooms/dashboard.js")), Usage = onDemand("Usage", () => import("./rooms/usage.js"));
const History = onDemand("History", () => import("./rooms/history.js"));
const Order = onDemand("Order", () => import("./rooms/order.js")), Orders = onDemand("Orders", () => import("./rooms/orders.js"));
const Settings = onDemand("Settings", () => import("./rooms/settings.js"));
const ApiKeys = onDemand("ApiKeys", () => import("./rooms/api_keys.js")), FoundingMembers = onDemand("FoundingMembers", () => import("./rooms/founding_members.js"));
const HubSettings = onDemand("HubSettings", () => import("./rooms/hub_settings.js"));
const Staff = onDemand("Staff", () => import("./rooms/staff.js")), StaffMember = onDemand("StaffMember", () => import("./rooms/staff_member.js"));
const Tenant = onDemand("Tenant", () => import("./rooms/tenant.js")), TenantAgent = onDemand("TenantAgent", () => import("./rooms/tenant_agent.js"));
const ROOMS = {
  admin: { fleet: Fleet, approvals: ({ thing }) => html`<${Approvals} wanted=${thing} />`, history: History,
    tenants: ({ thing, part, item }) => (part === "agents" && item ? html`<${TenantAgent} id=${thing} slug=${item} key=${`${thing} ${item}`} />` : html`<${Tenant} id=${thing} key=${thing} />`),
    customers: ({ thing }) => (thing ? html`<${Customer} id=${thing} key=${thing} />` : html`<${Customers} />`),
    orders: ({ thing }) => (thing ? html`<${Order} id=${thing} key=${thing} />` : html`<${Orders} />`),
    staff: ({ thing }) => (thing ? html`<${StaffMember} id=${thing} key=${thing} />` : html`<${Staff} />`), settings: ({ thing }) => html`<${HubSettings} category=${thing} />`,
    audit: Audit, "api-keys": ApiKeys, "founding-members": FoundingMembers, account: Account },
  customer: { dashboard: Dashboard, usage: Usage, billing: Billing, backups: Backups, approvals: ({ thing }) => html`<${Approvals} wanted=${thing} />`, history: History, settings: Settings, account: Account, agents: ({ thing }) => (thing ? html`<${Agent} id=${thing} key=${thing} />` : html`<${Agents} />`) },
};
/** What J and K walk over. */
const ROWS = "main .approval, main .fleet .name, main .walk, main .fold-row > summary";
const TITLES = { dashboard: "Home", usage: "Usage", billing: "Billing", backups: "Backups", fleet: "Fleet", approvals: "Approvals", history: "History", tenants: "Tenant", customers: "Customers", orders: "Orders", staff: "Staff", audit: "Audit log", "api-keys": "API keys", "founding-members": "Founding members", agents: "Agents", settings: "Settings", account: "Your account" };
const Lost = () => html`<section class="empty"><h1 tabindex="-1">There is no such page</h1><p>The address may be old.</p><a class="btn" href=${home()}>Go to the start</a></section>`;

function Inside() {
  const [side, room, thing, part, item] = parts();
  const isAdmin = side === "admin";
  const Room = ROOMS[side][room] ?? Lost;
  useEffect(() => bind({
    "Ctrl k": () => { paletteOpen.value = !paletteOpen.value; }, "?": () => { helpOpen.value = true; }, t: nextTheme,
    "g a": () => go(`/${side}/approvals`), ...(isAdmin ? { "g f": () => go("/admin/fleet"), "g o": () => go("/admin/orders"), "g c": () => go("/admin/customers"), "g l": () => may("audit.read") && go("/admin/audit") } : { "g d": () => go("/customer/dashboard"), "g s": () => go("/customer/agents"), "g u": () => go("/customer/usage") }), "g h": () => go(`/${side}/history`), "g p": () => go(`/${side}/account`),
    "/": () => { const search = document.querySelector("main input[type=search]"); search?.focus(); return Boolean(search); },
    j: () => walk(ROWS, 1), k: () => walk(ROWS, -1), ArrowDown: (event) => event.target.matches(ROWS) && walk(ROWS, 1), ArrowUp: (event) => event.target.matches(ROWS) && walk(ROWS, -1),
    a: () => pressOnCard("a"), d: () => pressOnCard("d"),
  }), [side]);
  const Frame = isAdmin ? StaffFrame : CustomerFrame;
  return html`<${Frame}><${Room} thing=${thing ?? null} part=${part} item=${item} /><//><${Palette} /><${Help} />`;
}

/** Where an address leads for whoever is signed in; null: here. */
function elsewhere() {
  const [side, room] = parts();
  const user = session.value?.user;
  if (side === "setup" || LINKS.includes(side)) return null;
  if (!user) return side === "sign-in" ? null : `/sign-in?to=${encodeURIComponent(path.value)}${side === "admin" ? "&as=staff" : ""}`;
  const own = user.type === "staff" ? "admin" : "customer";
  if (side === "sign-in") return after(own);
  if (side !== own) return `/${own}`;
  return room ? null : own === "admin" ? "/admin/fleet" : "/customer/dashboard";
}

const signedInAs = computed(() => (session.value?.user ? `${session.value.user.type} ${session.value.user.id}` : null));

function App() {
  if (session.value === null) return html`<p class="loading" role="status">Loading …</p>`;
  const target = elsewhere();
  useEffect(() => { if (target) go(target, { replace: true }); }, [target]);
  if (target) return null;
  const side = parts()[0];
  return html`${side === "setup" ? html`<${Setup} />` : LINKS.includes(side) ? html`<${Link} />` : side === "sign-in" ? html`<${SignIn} />` : html`<${Inside} />`}
    <${Toasts} /><p class="vh" aria-live="polite">${spoken.value}</p>`;
}

// Whoever signs in hears of everything their frame shows; whoever leaves leaves nothing behind.
let unwatch = [];
effect(() => {
  const as = signedInAs.value;
  untracked(() => attend(as)); // whoever has a new name or role is still the same
});
function attend(as) {
  unwatch.forEach((end) => end());
  unwatch = [];
  stop();
  forget();
  forgetDrafts();
  if (!as) return;
  if (as.startsWith("staff")) { zone.value = "UTC"; unwatch = [watchFleet(), watchApprovals()]; } else { useLocalZone(); unwatch = [watchApprovals(), watchAgents()]; }
  start();
}
onRole((role) => toast(`Your role is ${role[0]}${role.slice(1).toLowerCase()} now. This page shows what it may see and do.`, "warn"));
onSignedOut(() => { if (session.peek()?.user) loadSession().catch(() => {}); });

effect(() => {
  const [side, room] = parts();
  const waiting = session.value?.user && approvals.loaded.value ? pending.value.length : 0;
  const name = side === "sign-in" ? "Sign in" : side === "setup" ? "First setup" : LINKS.includes(side) ? "Your password" : TITLES[room] ?? "Console";
  document.title = `${waiting ? `(${waiting}) ` : ""}${name} · LetsBe Hub`;
  document.body.className = side === "admin" ? "" : "roomy";
});

// A new page begins at its top, with its heading in focus.
let place = path.peek().split("?")[0];
effect(() => {
  const here = path.value.split("?")[0];
  if (here === place) return;
  place = here;
  scrollTo(0, 0);
  setTimeout(() => { if (!document.activeElement || document.activeElement === document.body || !document.activeElement.closest("main")) document.querySelector("h1[tabindex]")?.focus({ preventScroll: true }); }, 30);
});

const root = document.getElementById("app");
async function begin() {
  try {
    await loadSession();
  } catch {
    setTimeout(begin, 1500);
    root.firstElementChild.textContent = "The Hub does not answer. Trying again …";
    return;
  }
  root.textContent = "";
  render(html`<${App} />`, root);
}
begin();
