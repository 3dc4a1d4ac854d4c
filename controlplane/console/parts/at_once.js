// Changes that are sent as soon as they are made, one after the other: one made while another is on its way is not lost.
import { useRef, useState } from "../vendor/hooks.mjs";

/** What a refusal means for what was wanted; after a silence nobody knows. */
export const undone = (refusal) => (refusal.code === "UNREACHABLE" ? `${refusal.message} Whether it was changed is not known; what stands here is what was told last.` : `${refusal.message} Nothing has changed.`);

/**
 * Answers `{wanted(name, current), onItsWay(name), busy, fault, turn(name, value, send)}`. `wanted`: how it shall be, until the Hub
 * has answered; `turn`: `send` is called when all before it are answered, and reads what it builds on only then. Of several
 * turns of one name that wait, the last counts.
 */
export function useAtOnce() {
  const [fault, setFault] = useState(null), [, redraw] = useState(0);
  const queue = useRef({ waiting: new Map(), sending: null }).current;
  async function drain() {
    while (queue.waiting.size) {
      const [name, turn] = queue.waiting.entries().next().value;
      queue.waiting.delete(name);
      queue.sending = { name, ...turn };
      try { await turn.send(); } catch (refusal) { setFault(undone(refusal)); }
      queue.sending = null;
      redraw((count) => count + 1);
    }
  }
  const ahead = (name) => queue.waiting.get(name) ?? (queue.sending?.name === name ? queue.sending : null);
  return {
    fault,
    busy: queue.sending !== null,
    onItsWay: (name) => ahead(name) !== null,
    wanted: (name, current) => { const turn = ahead(name); return turn ? turn.value : current; },
    turn(name, value, send) {
      queue.waiting.set(name, { value, send });
      setFault(null);
      redraw((count) => count + 1);
      if (!queue.sending) drain();
    },
  };
}
