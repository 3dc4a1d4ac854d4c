// Records read by HTTP and kept fresh by the socket: one object, or one page of a list; and edits that no push takes away.
import { get } from "./api.js";
import { link, watch } from "./socket.js";
import { useEffect, useRef, useState } from "./vendor/hooks.mjs";

/** topic → {end, listeners}: several rooms may listen to one topic, the socket watches it once. */
const heard = new Map();

/** Hear a topic until the answered function is called. `load`: what is shown must be read anew; `apply(frame)`: one event; `presence(frame)`: how a server is. */
export function listen(topic, listener) {
  let entry = heard.get(topic);
  if (!entry) {
    const listeners = new Set();
    entry = { listeners, end: watch(topic, { load: () => Promise.all([...listeners].map((one) => one.load())), apply: (frame) => listeners.forEach((one) => one.apply(frame)), presence: (frame) => listeners.forEach((one) => one.presence?.(frame)) }) };
    heard.set(topic, entry);
  }
  entry.listeners.add(listener);
  return () => {
    entry.listeners.delete(listener);
    if (entry.listeners.size || heard.get(topic) !== entry) return;
    heard.delete(topic);
    entry.end();
  };
}

/** The newest of several readings counts, in whatever order their answers come. */
function useReader(read) {
  const latest = useRef(0), done = useRef(0), self = useRef(read), alive = useRef(true);
  self.current = read;
  useEffect(() => () => { alive.current = false; }, []);
  const load = useRef(async () => {
    const mine = ++latest.current;
    const finish = await self.current();
    if (!alive.current || mine !== latest.current) return;
    done.current = mine;
    finish();
  }).current;
  load.isOpen = () => done.current !== latest.current;
  return load;
}

/**
 * One object. Answers `{data, version, fault, load, take}`; `version` goes along as If-Match with a change.
 * `topic`, `concerns(frame)`: which events say that it has changed; it is then read anew, with its version.
 */
export function useRecord(path, { topic = null, concerns = () => true } = {}) {
  const [state, setState] = useState({ path: null, data: null, version: null, fault: null });
  const load = useReader(async () => {
    if (!path) return () => {};
    try {
      const { data, version } = await get(path);
      return () => setState({ path, data, version, fault: null });
    } catch (fault) { return () => setState((before) => ({ ...before, path, fault })); }
  });
  const which = useRef(concerns);
  which.current = concerns;
  useEffect(() => {
    load();
    return topic ? listen(topic, { load, apply: (frame) => which.current(frame) && load() }) : undefined;
  }, [path, topic]);
  useReconnect(load, topic);
  const here = state.path === path ? state : { data: null, version: null, fault: null };
  const take = ({ data, version }) => {
    setState({ path, data, version: version ?? null, fault: null });
    if (load.isOpen()) load(); // what is being read may be from before: read it again
  };
  return { ...here, load, take };
}

/** Without a topic of its own a reading is repeated when the connection is back. */
function useReconnect(load, topic) {
  const now = link.value.state, before = useRef(now);
  useEffect(() => {
    if (!topic && now === "live" && before.current !== "live" && before.current !== "opening") load();
    before.current = now;
  }, [now]);
}

/**
 * A page of a list. Rows that are shown change in place; what is new is only counted, so that nothing moves while it is read.
 * `kinds`: events whose data is a row. Answers `{rows, total, fault, fresh, load, put}`.
 */
export function useList(path, query, { topic = null, kinds = null } = {}) {
  const asked = `${path}?${new URLSearchParams(query)}`;
  const [state, setState] = useState({ asked: null, rows: null, total: 0, fault: null, fresh: 0 });
  const load = useReader(async () => {
    try {
      const { data, meta } = await get(asked);
      return () => setState({ asked, rows: data, total: meta.total, fault: null, fresh: 0 });
    } catch (fault) { return () => setState((before) => ({ ...before, fault })); }
  });
  const put = (row) => setState((before) => {
    if (!before.rows) return before;
    const there = before.rows.some((one) => one.id === row.id);
    return there ? { ...before, rows: before.rows.map((one) => (one.id === row.id ? { ...one, ...row } : one)) } : { ...before, fresh: before.fresh + 1 };
  });
  useEffect(() => { load(); }, [asked]);
  useEffect(() => (topic ? listen(topic, { load, apply: (frame) => (!kinds || kinds.test(frame.kind)) && put(frame.data) }) : undefined), [topic]);
  useReconnect(load, topic);
  return { ...state, busy: state.asked !== asked, load, put };
}

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
/** Edits nobody has saved, by what they are of: they outlast a look at another room. */
const drafts = new Map();
addEventListener("beforeunload", (event) => { if (drafts.size) event.preventDefault(); });
export const forgetDrafts = () => drafts.clear();
export const hasDraft = (key) => drafts.has(key);

/**
 * Edits of an object. A field that nobody touched follows the object; one that was touched is kept, and where the object's
 * has changed meanwhile, both are told.
 * Answers `{value(name), set(name, value), changed, dirty, theirs(name), base(name), keep(name), drop(name), saved, clear, restore}`;
 * `base`: what the object had when the field was first touched; `saved`: what was in the draft is the object's now, and what was
 * edited since stays.
 */
export function useDraft(key, current) {
  const [, redraw] = useState(0);
  const draft = drafts.get(key) ?? { base: {}, edits: {} };
  const move = (next) => {
    if (Object.keys(next.edits).length) drafts.set(key, next);
    else drafts.delete(key);
    redraw((count) => count + 1);
  };
  const without = (object, name) => Object.fromEntries(Object.entries(object).filter(([one]) => one !== name));
  const has = (name) => Object.hasOwn(draft.edits, name);
  const drop = (name) => move({ base: without(draft.base, name), edits: without(draft.edits, name) });
  const changed = Object.fromEntries(Object.entries(draft.edits).filter(([name, value]) => !same(value, current?.[name])));
  const foreign = (name) => has(name) && !same(draft.base[name], current?.[name]) && !same(draft.edits[name], current?.[name]);
  return {
    value: (name) => (has(name) ? draft.edits[name] : current?.[name]),
    set(name, value) {
      if (same(value, current?.[name])) return has(name) && drop(name);
      move({ base: has(name) ? draft.base : { ...draft.base, [name]: current?.[name] ?? null }, edits: { ...draft.edits, [name]: value } });
    },
    changed,
    dirty: Object.keys(changed).length > 0,
    clash: Object.keys(draft.edits).some(foreign),
    base: (name) => draft.base[name],
    theirs: (name) => (foreign(name) ? { value: current?.[name] } : null),
    keep: (name) => move({ base: { ...draft.base, [name]: current?.[name] ?? null }, edits: draft.edits }),
    drop,
    saved() {
      const now = drafts.get(key) ?? { base: {}, edits: {} };
      const since = Object.entries(now.edits).filter(([name, value]) => !has(name) || !same(value, draft.edits[name]));
      move({ base: Object.fromEntries(since.map(([name]) => [name, has(name) ? draft.edits[name] : now.base[name]])), edits: Object.fromEntries(since) });
    },
    /** Let all edits go; answers them, for `restore`. */
    clear() { move({ base: {}, edits: {} }); return draft; },
    restore: (edits) => move(edits),
  };
}
