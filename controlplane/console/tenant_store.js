// What is known of one tenant besides its server: commands, agents, configuration, and its events as far back as was read.
import { all, get } from "./api.js";
import { Collection, takeApproval, takeDelivery } from "./store.js";
import { batch, signal } from "./vendor/signals.mjs";

const PAGE = 25;
const SETTLED = ["APPROVED", "DENIED", "EXPIRED"];
const oldest = (rows, field) => Math.min(...rows.map((one) => Date.parse(one[field])));
const latest = (times) => times.reduce((most, one) => (one !== null && (most === null || one > most) ? one : most), null);

export class TenantStore {
  commands = new Collection();
  agents = new Collection();
  /** Events that are neither commands nor requests: `{id, at, kind, data}`. */
  others = new Collection();
  order = signal(null);
  /** `{offered, applied, appliedVersion, error}`: whole configurations; null while they are not here. */
  configuration = signal(null);
  /** Everything since then is here, of every kind, in milliseconds; null: everything there is. */
  since = signal(null);
  /** Older rows are on their way. */
  fetching = signal(false);
  /** Why they did not come. */
  trouble = signal(null);
  /** The event that was heard last. */
  heard = signal(null);
  /** A command to fill the form with: `{type, payload}`. */
  draft = signal(null);

  #sources = [];

  constructor(server) { this.server = server; }

  async load() {
    const { orderId } = this.server;
    const fresh = this.#begin();
    const [agents, order, waiting] = await Promise.all([
      all(`/api/v1/admin/orders/${orderId}/agents`), get(`/api/v1/admin/orders/${orderId}`), all("/api/v1/admin/approvals", { orderId }, 500),
      this.loadConfiguration(), ...fresh.map((source) => source.next()),
    ]);
    batch(() => {
      const here = new Set(agents.data.map((one) => one.id));
      this.agents.everything().forEach((one) => { if (!here.has(one.id)) this.agents.drop(one.id); });
      agents.data.forEach((one) => this.agents.put(one));
      waiting.data.forEach((one) => takeApproval(one));
      this.order.value = order.data;
      this.#sources = fresh;
      this.#settle();
      this.agents.ready();
      this.commands.ready();
    });
  }

  async loadConfiguration() {
    this.configuration.value = (await get(`/api/v1/admin/orders/${this.server.orderId}/configuration`)).data;
  }

  /** Older rows: of whatever was read least far back, until some are there to be seen. */
  async earlier() {
    if (this.fetching.peek()) return;
    this.fetching.value = true;
    this.trouble.value = null;
    try {
      for (let round = 0; round < 4 && this.since.peek() !== null; round += 1) {
        const reached = this.since.peek();
        await Promise.all(this.#sources.filter((source) => source.since === reached).map((source) => source.next()));
        this.#settle();
      }
    } catch (fault) { this.trouble.value = fault.message; } finally { this.fetching.value = false; }
  }

  apply(frame) {
    const { kind, data, revision } = frame;
    this.heard.value = frame;
    if (kind === "approval.delivered") takeDelivery(data);
    else if (kind.startsWith("approval.")) takeApproval(data, revision);
    else if (kind.startsWith("command.")) this.commands.put(data, revision);
    else this.others.put({ id: frame.cursor, at: frame.at, kind, data });
    if (kind.startsWith("agent.") && data.isActive) this.agents.put(data, revision);
    else if (kind.startsWith("agent.")) this.agents.drop(data.id);
    else if (kind.startsWith("order.")) this.order.value = data;
    else if (kind.startsWith("config.")) this.loadConfiguration().catch(() => {}); // the next one brings it
  }

  #settle() { this.since.value = latest(this.#sources.map((source) => source.since)); }

  /** The lists that make the timeline together; `since`: how far back each was read, null: to its end. */
  #begin() {
    const { id, orderId } = this.server;
    const paged = (path, query, field, take) => ({
      since: Infinity, page: 0,
      async next() {
        const { data, meta } = await get(path, { ...query, page: this.page + 1, pageSize: PAGE });
        this.page += 1;
        data.forEach(take);
        this.since = this.page * PAGE >= meta.total ? null : Math.min(this.since, oldest(data, field));
      },
    });
    const others = this.others;
    const told = {
      since: Infinity, cursor: null,
      async next() {
        const { data, meta } = await get(`/api/v1/admin/orders/${orderId}/events`, this.cursor ? { cursor: this.cursor, limit: 100 } : { limit: 100 });
        for (const { cursor, at, kind, data: what } of data) if (!/^(approval|command)\./.test(kind)) others.put({ id: cursor, at, kind, data: what });
        this.cursor = meta.nextCursor;
        this.since = meta.nextCursor ? oldest(data, "at") : null;
      },
    };
    return [
      paged(`/api/v1/admin/servers/${id}/commands`, {}, "issuedAt", (one) => this.commands.put(one)),
      ...SETTLED.map((status) => paged("/api/v1/admin/approvals", { orderId, status }, "requestedAt", (one) => takeApproval(one))),
      told,
    ];
  }
}
