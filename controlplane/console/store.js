// What the page knows, by id; whole objects from the API, replaced by newer ones.
import { all, get, post, Fault } from "./api.js";
import { announce } from "./parts/announce.js";
import { isStaff, session } from "./session.js";
import { connected, watch } from "./socket.js";
import { serverNow } from "./time.js";
import { batch, computed, signal } from "./vendor/signals.mjs";

/** Objects by id. Readers follow `version`, which moves at most once a frame however many objects change. */
export class Collection {
  #objects = new Map();
  #revisions = new Map();
  #planned = false;
  version = signal(0);
  /** false until the first snapshot has come. */
  loaded = signal(false);

  /** Take an object; one with a revision below the last applied is ignored (null: a snapshot's, which has none). */
  put(object, revision = null) {
    if (revision !== null) {
      if (revision < (this.#revisions.get(object.id) ?? -1)) return false;
      this.#revisions.set(object.id, revision);
    }
    this.#objects.set(object.id, object);
    this.#move();
    return true;
  }
  drop(id) { if (this.#objects.delete(id)) this.#move(); }
  clear() { this.#objects.clear(); this.#revisions.clear(); this.loaded.value = false; this.#move(); }
  peek(id) { return this.#objects.get(id); }
  get(id) { this.version.value; return this.#objects.get(id); }
  all() { this.version.value; return [...this.#objects.values()]; }
  everything() { return [...this.#objects.values()]; }
  /** The snapshot is in: readers see all of it at once, and never an empty list before it. */
  ready() { batch(() => { this.version.value += 1; this.loaded.value = true; }); }
  #move() {
    if (this.#planned) return;
    this.#planned = true;
    // A timer, not an animation frame: those stand still in a tab nobody sees.
    setTimeout(() => { this.#planned = false; this.version.value += 1; }, 8);
  }
}

export const approvals = new Collection();
export const servers = new Collection();
export const agents = new Collection();

/** Take a request as it is now; how far its decision has come is never taken back (events of both cross each other). */
export function takeApproval(object, revision = null) {
  const known = approvals.peek(object.id);
  return approvals.put({ ...object, sentAt: object.sentAt ?? known?.sentAt ?? null, acknowledgedAt: object.acknowledgedAt ?? known?.acknowledgedAt ?? null }, revision);
}

/** A decision has reached its server. */
export function takeDelivery({ id, sentAt, acknowledgedAt }) {
  const known = approvals.peek(id);
  if (known) approvals.put({ ...known, sentAt, acknowledgedAt });
}

/** Events as they came since the page was opened, newest first: `{key, at, kind, data}`. */
export const events = signal([]);
const MOST_EVENTS = 60;
/** What the fleet's feed tells of: the topics `fleet` and `approvals`. */
const FEED = /^(approval\.(?!delivered)|command|config|server|backup|image)/;
/** What happened before the page was opened: behind what came since. */
async function loadEvents() {
  const { data } = await get("/api/v1/admin/events", { limit: MOST_EVENTS });
  const known = new Set(events.peek().map((one) => one.cursor));
  const older = data.filter((one) => !known.has(one.cursor) && FEED.test(one.kind)).map(({ cursor, at, kind, data: what }) => ({ key: cursor, cursor, at, kind, data: what }));
  events.value = [...events.peek(), ...older].sort((one, other) => Date.parse(other.at) - Date.parse(one.at)).slice(0, MOST_EVENTS);
}

export function note(frame) {
  if (frame.cursor && events.peek().some((one) => one.cursor === frame.cursor)) return; // it belongs to two topics
  const entry = { key: frame.cursor, cursor: frame.cursor, at: frame.at, kind: frame.kind, data: frame.data };
  events.value = [entry, ...events.peek()].slice(0, MOST_EVENTS);
}

export const pending = computed(() => approvals.all().filter((one) => one.status === "PENDING")
  .sort((one, other) => one.requestedAt.localeCompare(other.requestedAt) || one.id.localeCompare(other.id)));
export const settled = computed(() => approvals.all().filter((one) => one.status !== "PENDING")
  .sort((one, other) => (other.settledAt ?? "").localeCompare(one.settledAt ?? "")));

const side = () => (isStaff() ? "admin" : "customer");
const SETTLED = ["APPROVED", "DENIED", "EXPIRED"];

async function loadPending() {
  const { data } = await all(`/api/v1/${side()}/approvals`, {}, 500);
  data.forEach((one) => takeApproval(one));
  approvals.ready();
  return data;
}

async function loadApprovals() {
  const before = approvals.everything().filter((one) => one.status === "PENDING").map((one) => one.id);
  const [waiting, ...lately] = await Promise.all([
    loadPending(), // shown as soon as it is here
    ...SETTLED.map((status) => get(`/api/v1/${side()}/approvals`, { status, pageSize: 10 })),
  ]);
  const found = [...waiting, ...lately.flatMap((one) => one.data)];
  found.forEach((one) => takeApproval(one));
  // What waited before and is in none of the lists was decided while we could not hear it.
  const here = new Set(found.map((one) => one.id));
  await Promise.all(before.filter((id) => !here.has(id)).map((id) => loadApproval(id)));
}

export async function loadApproval(id) {
  const { data } = await get(`/api/v1/${side()}/approvals/${encodeURIComponent(id)}`);
  takeApproval(data);
  return data;
}

/** Older settled approvals, a page of one status: for the history. */
export async function loadHistory(status, page) {
  const answer = await get(`/api/v1/${side()}/approvals`, { status, page, pageSize: 25 });
  answer.data.forEach((one) => takeApproval(one));
  return answer;
}

/**
 * Decide. Answers `{approval, mine, at}`: as it stands now, whether this decision counted, when its answer came.
 * @throws {Fault} nothing was decided, or (code UNREACHABLE) nobody knows.
 */
export async function settle(approval, action, reason) {
  if (!connected()) throw new Fault(0, "OFFLINE", "There is no connection, so nothing was sent.");
  try {
    const { data } = await post(`/api/v1/${side()}/approvals/${approval.id}`, reason ? { action, reason } : { action });
    takeApproval(data);
    return { approval: data, mine: true, at: serverNow() };
  } catch (fault) {
    if (fault.code === "CONFLICT") {
      const told = fault.details && !Array.isArray(fault.details) && fault.details.id ? fault.details : await loadApproval(approval.id);
      takeApproval(told);
      return { approval: told, mine: false, at: serverNow() };
    }
    throw fault;
  }
}

export const watchApprovals = () => watch("approvals", {
  early: loadPending,
  load: loadApprovals,
  apply(frame) {
    if (frame.kind === "approval.delivered") return takeDelivery(frame.data);
    const known = approvals.peek(frame.data.id);
    if (!takeApproval(frame.data, frame.revision)) return;
    note(frame);
    if (frame.kind === "approval.requested" && !known) announce(`New request: ${frame.data.humanReadable.slice(0, 120)}`);
  },
});

export const watchFleet = () => watch("fleet", {
  async load() {
    const { data } = await all("/api/v1/admin/servers", {}, 10_000);
    const here = new Set(data.map((one) => one.id));
    servers.everything().forEach((one) => { if (!here.has(one.id)) servers.drop(one.id); });
    data.forEach((one) => servers.put(one));
    servers.ready();
    await loadEvents();
  },
  apply: note,
  presence: (frame) => servers.put(frame.server),
});

export const watchAgents = () => watch("agents", {
  async load() {
    const { data } = await all("/api/v1/customer/agents");
    const here = new Set(data.map((one) => one.id));
    agents.everything().forEach((one) => { if (!here.has(one.id)) agents.drop(one.id); });
    data.forEach((one) => agents.put(one));
    agents.ready();
  },
  apply(frame) {
    if (!frame.kind.startsWith("agent.")) return;
    if (frame.data.isActive) agents.put({ ...agents.peek(frame.data.id), ...frame.data }, frame.revision);
    else agents.drop(frame.data.id);
  },
});

/** Forget everything: another person signs in. */
export function forget() {
  [approvals, servers, agents].forEach((one) => one.clear());
  events.value = [];
}

export const me = () => session.value?.user?.id;
