// States of people and orders: a shape and a word each.
import { html } from "../html.js";
import { Icon } from "./icon.js";

const ACCOUNTS = { ACTIVE: ["check", "ok", "Active"], SUSPENDED: ["pause", "warn", "Suspended"], DEACTIVATED: ["x", "bad", "Deactivated"] };
export const ORDERS = {
  PAYMENT_CONFIRMED: ["Payment confirmed", "order"], AWAITING_SERVER: ["Awaiting server", "clock"], SERVER_READY: ["Server ready", "server"], DNS_PENDING: ["DNS pending", "globe"],
  DNS_READY: ["DNS ready", "globe"], PROVISIONING: ["Provisioning", "refresh"], FULFILLED: ["Fulfilled", "check"], FAILED: ["Failed", "class-red"], CANCELLED: ["Cancelled", "x"],
};
const LOOKS = { FULFILLED: "ok", FAILED: "bad", CANCELLED: "soft" };
export const PATH = ["PAYMENT_CONFIRMED", "AWAITING_SERVER", "SERVER_READY", "DNS_PENDING", "DNS_READY", "PROVISIONING", "FULFILLED"];
export const TIERS = [["Lite", "Lite"], ["Build", "Build"], ["Scale", "Scale"]];
export const MODES = [["AUTO", "Auto"], ["MANUAL", "Manual"], ["PAUSED", "Paused"]];

export function AccountState({ status }) {
  const [icon, look, word] = ACCOUNTS[status] ?? ["ring", "soft", status];
  return html`<span class=${`state ${look}`}><${Icon} name=${icon} />${word}</span>`;
}

export function OrderState({ status }) {
  const [word, icon] = ORDERS[status] ?? [status, "ring"];
  return html`<span class=${`state ${LOOKS[status] ?? "soft"}`}><${Icon} name=${icon} />${word}</span>`;
}
