// What is read by HTTP and has no event of its own: read anew when an event concerns it, soon, and not again and again.
import { listen } from "../records.js";
import { useEffect, useRef } from "../vendor/hooks.mjs";

/** The first event is answered at once; of a stream of them, readings are so far apart: requests are rationed (60 a minute). */
const PAUSE_MS = 8000;

/**
 * Call `load` after an event that concerns it, and whenever the socket says that something may have been missed;
 * in a tab that nobody sees, when it is seen again.
 * `topics`: topic → which kinds of its events; `presence(frame)`: how a server is, told by some topics.
 */
export function useHeard(topics, load, presence = null) {
  const now = useRef({});
  now.current = { topics, load, presence };
  useEffect(() => {
    let timer = null, last = 0, missed = false;
    const read = () => {
      timer = null;
      missed = document.hidden;
      if (missed) return;
      last = Date.now();
      now.current.load();
    };
    const soon = () => { timer ??= setTimeout(read, Math.max(60, last + PAUSE_MS - Date.now())); };
    const seen = () => { if (!document.hidden && missed) soon(); };
    document.addEventListener("visibilitychange", seen);
    const ends = Object.keys(topics).map((topic) => listen(topic, {
      load: soon, apply: (frame) => now.current.topics[topic].test(frame.kind) && soon(), presence: (frame) => now.current.presence?.(frame),
    }));
    return () => { clearTimeout(timer); document.removeEventListener("visibilitychange", seen); ends.forEach((end) => end()); };
  }, [Object.keys(topics).join()]);
}
