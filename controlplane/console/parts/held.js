// Requests in the order in which they were first seen: a settled card stays in its place until it is put away.
import { approvals, pending } from "../store.js";
import { useRef, useState } from "../vendor/hooks.mjs";

/** Answers `{cards, done, tidy}`: the requests, how many of them are settled, putting those away. `wanted`: stands first. */
export function useHeld(wanted) {
  const held = useRef([]);
  const [, redraw] = useState(0);
  const ids = pending.value.map((one) => one.id);
  if (wanted && approvals.peek(wanted) && !held.current.includes(wanted)) held.current = [wanted, ...held.current];
  const fresh = ids.filter((id) => !held.current.includes(id));
  if (fresh.length) held.current = [...held.current, ...fresh];
  const cards = held.current.map((id) => approvals.get(id)).filter(Boolean);
  return { cards, done: cards.filter((one) => one.status !== "PENDING").length, tidy() { held.current = held.current.filter((id) => approvals.peek(id)?.status === "PENDING"); redraw((count) => count + 1); } };
}
