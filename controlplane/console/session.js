// Who is signed in here, and what their role may do.
import { Fault, plain, post } from "./api.js";
import { signal } from "./vendor/signals.mjs";

/** null: not asked yet; {}: nobody; otherwise `{user, expires}`. */
export const session = signal(null);

/** The session ended without this page's doing: signed out elsewhere, or out of time. */
export const ended = signal(false);

/** Roles by permission, as in the Hub's table (a test compares them). The Hub decides anyway. */
export const PERMISSIONS = {
  "customers.read": ["OWNER", "ADMIN", "MANAGER", "SUPPORT"],
  "customers.write": ["OWNER", "ADMIN", "MANAGER"],
  "orders.read": ["OWNER", "ADMIN", "MANAGER", "SUPPORT"],
  "orders.write": ["OWNER", "ADMIN", "MANAGER"],
  "servers.read": ["OWNER", "ADMIN", "MANAGER", "SUPPORT"],
  "servers.command": ["OWNER", "ADMIN"],
  "tokens.issue": ["OWNER", "ADMIN"],
  "keys.revoke": ["OWNER", "ADMIN"],
  "containers.read": ["OWNER", "ADMIN", "MANAGER", "SUPPORT"],
  "containers.manage": ["OWNER", "ADMIN", "SUPPORT"],
  "agents.read": ["OWNER", "ADMIN", "MANAGER", "SUPPORT"],
  "agents.write": ["OWNER", "ADMIN", "MANAGER"],
  "approvals.read": ["OWNER", "ADMIN", "MANAGER", "SUPPORT"],
  "approvals.decide": ["OWNER", "ADMIN", "MANAGER"],
  "billing.read": ["OWNER", "ADMIN"],
  "billing.write": ["OWNER", "ADMIN"],
  "analytics.read": ["OWNER", "ADMIN"],
  "enterprise.read": ["OWNER", "ADMIN", "MANAGER", "SUPPORT"],
  "enterprise.write": ["OWNER", "ADMIN"],
  "settings.read": ["OWNER", "ADMIN"],
  "settings.write": ["OWNER"],
  "audit.read": ["OWNER", "ADMIN"],
  "staff.read": ["OWNER", "ADMIN"],
  "staff.manage": ["OWNER"],
  "factors.reset": ["OWNER", "ADMIN"],
};

export const isStaff = () => session.value?.user?.type === "staff";
export const may = (permission) => PERMISSIONS[permission].includes(session.value?.user?.role);
export const mayDecide = () => !isStaff() || may("approvals.decide");
export const home = () => (isStaff() ? "/admin" : "/customer");

/** Ask the Hub who is signed in; throws a Fault when it does not say. */
export async function loadSession() {
  const { status, answer } = await plain("GET", "/api/auth/session");
  if (status !== 200) throw new Fault(status, "UNREACHABLE", "The Hub does not say who is signed in.");
  if (answer?.user) ended.value = false;
  else if (session.peek()?.user) ended.value = true;
  session.value = answer?.user ? answer : {};
  return session.value;
}

async function signedIn() {
  await loadSession();
  return session.value?.user ? {} : { wrong: "You are signed in, but this browser keeps no cookies for this page." };
}

/** Sign in; answers `{}` when done, `{pending}` where a code is asked for as well, or `{wrong}`: the words of what went wrong. */
export async function signIn(provider, email, password) {
  const { status, answer, retryAfterSeconds } = await plain("POST", `/api/auth/callback/${provider}`, { email, password });
  if (status === 200 && answer?.requires2FA) return { pending: answer.pendingToken };
  if (status === 200) return signedIn();
  return { wrong: refusal(status, retryAfterSeconds) };
}

/** The second step of a sign-in: the code of an authenticator, or a backup code. Answers as `signIn`. */
export async function signInWithCode(token, code) {
  try {
    await post("/api/v1/auth/2fa/verify", { token, code });
  } catch (fault) { return { wrong: fault.message, over: /is over/.test(fault.message) }; }
  return signedIn();
}

function refusal(status, retryAfterSeconds) {
  if (status === 401) return "Email and password do not match.";
  if (status === 429) return `Too many tries. Wait ${Math.ceil((retryAfterSeconds ?? 60) / 60)} min, then try again.`;
  return `The Hub could not sign you in (${status}). Nothing has changed.`;
}

export async function signOut() {
  await plain("POST", "/api/auth/signout", {});
  ended.value = false;
  session.value = {};
}
