// The audit log as it is read: pages from the newest on, older ones by cursor, what is new only counted.
import { get } from "./api.js";
import { useHeard } from "./parts/heard.js";
import { connected } from "./socket.js";
import { useEffect, useRef, useState } from "./vendor/hooks.mjs";

export const AUDIT = "/api/v1/admin/audit";
const PAGE = 50;
/** So many new ones are counted; beyond it is "100 or more". */
export const MOST_FRESH = 100;
/** What is not told by an event, such as customers' sign-ins, is looked for so often. */
const LOOK_MS = 30_000;
/** Events that come with an entry of the log, or soon after. */
const TOLD = { approvals: /^approval\.(approved|denied|expired)/, fleet: /^(command|server|config)\./, orders: /./, customers: /./, staff: /./, settings: /./ };
const NOTHING = { asked: null, rows: null, cursor: null, fault: null, fresh: 0, busy: false };

/** Answers `{rows, fresh, fault, cursor, busy, stale, load, older, renew}` for filters as the Hub calls them. */
export function useAudit(filters) {
  const asked = String(new URLSearchParams(filters));
  const [state, setState] = useState(NOTHING);
  const latest = useRef(asked), alive = useRef(true), turn = useRef(0);
  latest.current = asked;
  useEffect(() => () => { alive.current = false; }, []);
  const holds = (mine) => alive.current && latest.current === asked && mine === turn.current;
  const query = (more) => `${AUDIT}?${new URLSearchParams({ ...filters, ...more })}`;

  async function load() {
    const mine = ++turn.current;
    setState((before) => ({ ...before, busy: true }));
    try {
      const { data, meta } = await get(query({ limit: PAGE }));
      if (holds(mine)) setState({ ...NOTHING, asked, rows: data, cursor: meta.nextCursor });
    } catch (fault) { if (holds(mine)) setState((before) => ({ ...before, asked, rows: before.asked === asked ? before.rows : null, fault, busy: false })); }
  }

  async function older() {
    if (state.busy || !state.cursor || !connected()) return;
    const mine = ++turn.current;
    setState((before) => ({ ...before, busy: true }));
    try {
      const { data, meta } = await get(query({ limit: PAGE, cursor: state.cursor }));
      if (holds(mine)) setState((before) => ({ ...before, rows: [...before.rows, ...data], cursor: meta.nextCursor, fault: null, busy: false }));
    } catch (fault) { if (holds(mine)) setState((before) => ({ ...before, fault, busy: false })); }
  }

  /** How many are newer than what is shown; numbers in the chain that came meanwhile. A list that failed is read anew. */
  async function look() {
    if (state.asked !== asked || state.busy) return;
    if (!state.rows || state.fault) return load();
    const mine = turn.current;
    try {
      const { data } = await get(query({ limit: MOST_FRESH }));
      if (holds(mine)) setState((before) => {
        const at = before.rows.length ? data.findIndex((one) => one.id === before.rows[0].id) : data.length;
        return { ...before, rows: merged(before.rows, data), fresh: at < 0 ? data.length : at };
      });
    } catch { /* the next look tells */ }
  }

  /** One entry anew: whether it is sealed by now. */
  async function renew(id) {
    try {
      const { data } = await get(`${AUDIT}?entryId=${id}`);
      if (alive.current) setState((before) => (before.rows ? { ...before, rows: merged(before.rows, data) } : before));
    } catch { /* it says what it said */ }
  }

  const now = useRef(look);
  now.current = look;
  useEffect(() => { load(); }, [asked]);
  useHeard(TOLD, () => now.current());
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden && connected()) now.current(); }, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return { ...state, stale: state.asked !== asked, load, older, renew };
}

/** The same rows in the same order, with what is newly known of them. */
function merged(rows, data) {
  const known = new Map(data.map((one) => [one.id, one]));
  return rows.map((one) => known.get(one.id) ?? one);
}
