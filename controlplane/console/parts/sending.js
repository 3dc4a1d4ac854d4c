// Sending what a form asks for: once at a time, and told when it was not done.
import { useState } from "../vendor/hooks.mjs";

/**
 * `send(event)`: does it, throws a Fault where it was not done; `why`: what is missing before it can be sent, or nothing;
 * `onFault(fault)`: besides, once the refusal is known. Answers `{busy, fault, setFault, submit}`.
 */
export function useSending(send, { why = null, onFault } = {}) {
  const [busy, setBusy] = useState(false), [fault, setFault] = useState(null);
  async function submit(event) {
    event.preventDefault();
    if (why || busy) return;
    setBusy(true);
    setFault(null);
    try { await send(event); } catch (refusal) {
      setFault(refusal);
      onFault?.(refusal);
    } finally { setBusy(false); }
  }
  return { busy, fault, setFault, submit };
}
