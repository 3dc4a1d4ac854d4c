// The frames around the rooms: the customers' bar with its dock, the staff's rail.
import { html } from "../html.js";
import { go, parts } from "../router.js";
import { may, session, signOut } from "../session.js";
import { link } from "../socket.js";
import { pending, servers } from "../store.js";
import { LiveSign } from "./banner.js";
import { Face } from "./face.js";
import { Icon } from "./icon.js";
import { paletteOpen } from "./palette.js";
import { ThemeButton } from "./theme.js";

const leave = async () => { try { await signOut(); } finally { go("/sign-in", { replace: true }); } };
const skip = (event) => { event.preventDefault(); const main = document.getElementById("main"); main.tabIndex = -1; main.focus(); };
const Skip = () => html`<a class="skip" href="#main" onClick=${skip}>Skip to content</a>`;

function Count({ number, quiet }) {
  return number > 0 ? html`<span class=${quiet ? "count count-quiet" : "count"}>${number}<span class="vh">${quiet ? "" : " waiting"}</span></span>` : null;
}

const CUSTOMER = [["dashboard", "home", "Home"], ["approvals", "shield", "Approvals"], ["agents", "agents", "Agents"], ["usage", "chart", "Usage"]];
/** Behind "More" on a phone, in the bar where there is room. */
const MORE = [["history", "history", "History"], ["backups", "archive", "Backups"], ["billing", "order", "Billing"]];
const OWN = [["settings", "mail", "Settings"], ["account", "user", "Your account"]];

export function CustomerFrame({ children }) {
  const here = parts()[1] ?? "dashboard";
  const { name, email } = session.value.user;
  const current = (room) => (here === room ? "page" : null);
  const closeMore = (event) => event.target.closest("a") && document.getElementById("more").hidePopover();
  return html`<${Skip} />
    <header class="bar">
      <a class="brand" href="/customer/dashboard"><${Icon} name="mark" />LetsBe <span><bdi>${name}</bdi></span></a>
      <nav class="dock" aria-label="Main">${CUSTOMER.map(([room, icon, word]) => html`<a key=${room} href=${`/customer/${room}`} aria-current=${current(room)}><${Icon} name=${icon} />${word}${room === "approvals" && html`<${Count} number=${pending.value.length} />`}</a>`)}
        ${MORE.map(([room, , word]) => html`<a key=${room} class="dock-wide" href=${`/customer/${room}`} aria-current=${current(room)}>${word}</a>`)}
        <button class="dock-more" type="button" popovertarget="more" data-current=${[...MORE, ...OWN].map(([room]) => room).includes(here) ? "true" : null}><${Icon} name="more" />More</button></nav>
      <nav id="more" class="menu menu-more" popover aria-label="More" onClick=${closeMore}>${[...MORE, ...OWN].map(([room, icon, word]) => html`<a key=${room} class="menu-link" href=${`/customer/${room}`} aria-current=${current(room)}><${Icon} name=${icon} />${word}</a>`)}</nav>
      <span class="push"><${LiveSign} /></span>
      <button class="btn btn-bare btn-icon" type="button" popovertarget="account"><${Face} name=${name} /><span class="vh">Account of ${name}</span></button>
      <div id="account" class="menu" popover>
        <p><b><bdi>${name}</bdi></b><br /><span class="muted"><bdi>${email}</bdi></span></p>
        <div onClick=${(event) => event.target.closest("a") && document.getElementById("account").hidePopover()}>${OWN.map(([room, icon, word]) => html`<a key=${room} class="menu-link" href=${`/customer/${room}`} aria-current=${current(room)}><${Icon} name=${icon} />${word}</a>`)}</div>
        <div class="row between"><span>Theme</span><${ThemeButton} /></div>
        <button class="btn" type="button" onClick=${leave}><${Icon} name="logout" />Sign out</button>
      </div>
    </header>
    <main id="main" class="page customer">${children}</main>`;
}

const STAFF = [["fleet", "server", "Fleet"], ["approvals", "shield", "Approvals"], ["orders", "order", "Orders"], ["customers", "users", "Customers"], ["history", "history", "History"], ["staff", "user", "Staff", "staff.read"], ["audit", "eye", "Audit log", "audit.read"], ["settings", "settings", "Settings", "settings.read"]];
const capital = (word) => word[0] + word.slice(1).toLowerCase();

export function StaffFrame({ children }) {
  const room = parts()[1] ?? "fleet";
  const here = { tenants: "fleet", "api-keys": "settings", "founding-members": "customers" }[room] ?? room;
  const { name, role, image } = session.value.user;
  const brand = html`<a class="brand" href="/admin/fleet"><${Icon} name="mark" />LetsBe <span>Hub</span></a>`;
  const close = () => document.getElementById("rail").matches(":popover-open") && document.getElementById("rail").hidePopover();
  return html`<${Skip} />
    <div class="staff">
      <header class="bar">
        <button class="btn btn-bare btn-icon" type="button" popovertarget="rail" aria-label="Menu"><${Icon} name="menu" /></button>${brand}
        <span class="push"><${LiveSign} /></span>
        <button class="btn btn-bare btn-icon" type="button" aria-label="Search and commands" onClick=${() => { paletteOpen.value = true; }}><${Icon} name="search" /></button>
      </header>
      <nav id="rail" class="rail" popover="auto" aria-label="Main" onClick=${(event) => event.target.closest("a") && close()}>${brand}
        ${STAFF.filter(([, , , permission]) => !permission || may(permission)).map(([key, icon, word]) => html`<a key=${key} class="nav-link" href=${`/admin/${key}`} aria-current=${here === key ? "page" : null}><${Icon} name=${icon} />${word}${key === "fleet" ? html`<${Count} quiet number=${servers.all().length} />` : key === "approvals" ? html`<${Count} number=${pending.value.length} />` : ""}</a>`)}
        <button class="nav-link nav-button" type="button" onClick=${() => { close(); paletteOpen.value = true; }}><${Icon} name="search" />Search<kbd class="push">Ctrl K</kbd></button>
        <div class="who"><a class="who-link" href="/admin/account" aria-current=${here === "account" ? "page" : null} title="Your account"><${Face} name=${name} image=${image} /><span><span class="vh">Your account, </span><b><bdi>${name}</bdi></b><br /><span class="muted">${capital(role ?? "")}</span></span></a>
          <span class="push nowrap"><${ThemeButton} cls="btn-s" /><button class="btn btn-bare btn-icon btn-s" type="button" aria-label="Sign out" title="Sign out" onClick=${leave}><${Icon} name="logout" /></button></span></div>
      </nav>
      <main id="main" class="page" data-link=${link.value.state}>${children}</main>
    </div>`;
}
