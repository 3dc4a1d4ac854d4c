// Where we are: the address bar is the state, links are links.
import { signal } from "./vendor/signals.mjs";

const current = () => location.pathname + location.search;
export const path = signal(current());

/** Guards asked before leaving a page; one that answers false keeps us here. */
export function go(target, { replace = false } = {}) {
  if (target === current()) return;
  history[replace ? "replaceState" : "pushState"]({}, "", target);
  path.value = current();
}

/** The parts of the address: `/admin/tenants/srv_1` is `["admin", "tenants", "srv_1"]`. */
export const parts = () => path.value.split("?")[0].split("/").filter(Boolean).map(decodeURIComponent);
export const query = () => new URLSearchParams(path.value.split("?")[1] ?? "");

const OURS = /^\/(admin|customer|sign-in|setup|forgot-password)(\/|$)/;

addEventListener("popstate", () => { path.value = current(); });
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.origin !== location.origin || !OURS.test(link.pathname)) return;
  if (link.hash && link.pathname === location.pathname) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
