// The console socket: topics, the hole-free cursor, coming back. It only informs; changes go through HTTP.
import { loadSession, session } from "./session.js";
import { learn, serverNow } from "./time.js";
import { batch, signal } from "./vendor/signals.mjs";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
const SILENCE_MS = 20_000; // then we ask; a browser does not see the socket's own pings
const ANSWER_MS = 10_000;
const POLL_MS = 15_000;

/**
 * How we hear of changes. `state`: `opening`, `live`, `polling` (sockets are blocked, HTTP is not), `lost`.
 * `since`: from when on what is shown may be out of date. `retryAt`: of the next try, on this machine's clock.
 */
export const link = signal({ state: "opening", since: null, retryAt: null });
export const connected = () => link.value.state === "live" || link.value.state === "polling";

/** topic → {load, apply, presence, queue (events that wait for the snapshot, or null), count} */
const topics = new Map();
let socket = null, cursor = null, attempt = 0, failedHandshakes = 0, retryTimer = null, quietTimer = null, pollTimer = null, wanted = false;

const roleListeners = new Set();
/** Be told when whoever is signed in has another role. */
export const onRole = (listener) => roleListeners.add(listener);

const address = () => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/${session.peek().user.type === "staff" ? "admin" : "customer"}/socket`;

/**
 * Watch a topic until the answered function is called.
 * `load`: gets the snapshot; `early`: something to look at while the socket is still on its way; `apply(frame)`: takes one event; `presence(frame)`: takes a server's state.
 */
export function watch(topic, { load, early, apply, presence }) {
  const held = topics.get(topic);
  if (held) held.count += 1;
  else {
    topics.set(topic, { load, early, apply, presence, queue: null, count: 1 });
    if (socket?.readyState === WebSocket.OPEN) say({ type: "watch", topics: [topic] });
    else if (link.peek().state === "polling") load().catch(() => {});
  }
  return () => {
    const entry = topics.get(topic);
    if (!entry || --entry.count) return;
    topics.delete(topic);
    if (socket?.readyState === WebSocket.OPEN) say({ type: "unwatch", topics: [topic] });
  };
}

export function start() {
  wanted = true;
  attempt = failedHandshakes = 0;
  cursor = null;
  link.value = { state: "opening", since: null, retryAt: null };
  for (const topic of topics.values()) topic.early?.().catch(() => {});
  open();
}

export function stop() {
  wanted = false;
  clearTimeout(retryTimer); clearTimeout(quietTimer); clearTimeout(pollTimer);
  const old = socket;
  socket = null;
  old?.close(1000);
}

/** Try now instead of at the planned time. */
export function tryNow() {
  if (!wanted || socket) return;
  clearTimeout(retryTimer);
  open();
}

const say = (frame) => socket.send(JSON.stringify(frame));

function open() {
  clearTimeout(retryTimer);
  const mine = new WebSocket(address(), "letsbe.console.v1");
  let opened = false;
  socket = mine;
  mine.onopen = () => { opened = true; failedHandshakes = 0; };
  mine.onmessage = ({ data }) => { if (socket === mine) { listen(); hear(JSON.parse(data)); } };
  mine.onclose = (event) => { if (socket === mine) closed(event.code, opened); };
  listen();
}

/** After a silence ask for a topic again: its answer shows that the other side is there. */
function listen() {
  clearTimeout(quietTimer);
  quietTimer = setTimeout(() => {
    const first = topics.keys().next().value;
    if (socket?.readyState === WebSocket.OPEN && first && cursor) say({ type: "watch", topics: [first], since: cursor });
    quietTimer = setTimeout(() => { const old = socket; if (old) { closed(1006, true); old.onclose = null; old.close(); } }, ANSWER_MS);
  }, SILENCE_MS);
}

function closed(code, opened) {
  socket = null;
  clearTimeout(quietTimer);
  if (!wanted) return;
  if (code === 4001) { loadSession().catch(() => {}); return lost(); }
  if (!opened) failedHandshakes += 1;
  lost();
  if (failedHandshakes >= 2) probe();
}

function lost() {
  const wait = Math.random() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  attempt += 1;
  retryTimer = setTimeout(open, wait);
  const { state, since } = link.peek();
  if (state !== "polling") link.value = { state: "lost", since: since ?? serverNow(), retryAt: Date.now() + wait };
}

/** Where only sockets are blocked, ask by HTTP every few seconds, and say so. */
async function probe() {
  clearTimeout(pollTimer);
  try {
    await loadSession();
    if (!session.peek()?.user) return;
    await Promise.all([...topics.values()].map((topic) => topic.load()));
  } catch {
    const { since } = link.peek();
    link.value = { ...link.peek(), state: "lost", since: since ?? serverNow() };
    return;
  }
  if (!wanted || socket?.readyState === WebSocket.OPEN) return;
  link.value = { state: "polling", since: null, retryAt: null };
  pollTimer = setTimeout(probe, POLL_MS);
}

const HEARD = {
  welcome(frame) {
    learn(frame.serverTime, true);
    const names = [...topics.keys()];
    if (names.length === 0) return up();
    if (cursor) say({ type: "watch", topics: names, since: cursor });
    else say({ type: "watch", topics: names });
  },
  async watching(frame) {
    cursor = frame.cursor;
    const fresh = frame.topics.map((name) => [name, topics.get(name)]).filter(([, topic]) => topic && !topic.known);
    await Promise.all(fresh.map(([name]) => snapshot(name)));
    up();
  },
  event(frame) {
    cursor = frame.cursor;
    const topic = topics.get(frame.topic);
    if (!topic) return;
    if (topic.queue) topic.queue.push(frame);
    else batch(() => topic.apply?.(frame));
  },
  presence(frame) { topics.get(frame.topic)?.presence?.(frame); },
  async snapshotNeeded(frame) {
    cursor = frame.cursor;
    await snapshot(frame.topic);
  },
  refused(frame) {
    const topic = topics.get(frame.topic);
    if (topic) topic.known = true; // nothing comes; a change of the role asks again
  },
  /** Another role: what may be seen is asked for anew, all of it. */
  async sessionChanged(frame) {
    await loadSession();
    for (const listener of roleListeners) listener(frame.role);
    for (const topic of topics.values()) topic.known = false;
    cursor = null;
    if (socket?.readyState === WebSocket.OPEN) say({ type: "watch", topics: [...topics.keys()] });
  },
};

function hear(frame) {
  Promise.resolve(HEARD[frame.type]?.(frame)).catch(() => {
    // A snapshot did not come: what is shown has a hole. Start again from the outside.
    const old = socket;
    for (const topic of topics.values()) topic.known = false;
    cursor = null;
    if (old) { old.onclose = null; old.close(1000); closed(1006, true); }
  });
}

function up() {
  attempt = 0;
  clearTimeout(pollTimer);
  link.value = { state: "live", since: null, retryAt: null };
}

/** GET a topic's snapshot; events that come meanwhile wait, then follow. */
async function snapshot(name) {
  const topic = topics.get(name);
  if (!topic) return;
  topic.queue = topic.queue ?? [];
  try {
    await topic.load?.();
    topic.known = true;
  } finally {
    const waiting = topic.queue;
    topic.queue = null;
    batch(() => waiting.forEach((frame) => topic.apply?.(frame)));
  }
}

addEventListener("online", tryNow);
addEventListener("offline", () => {
  const old = socket;
  if (old && wanted) { old.onclose = null; old.close(); closed(1006, true); }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) tryNow(); });
