// Rooms that are fetched when they are visited: their shape meanwhile, and what stands there when the Hub does not answer.
import { html } from "./html.js";
import { Wrong } from "./parts/form.js";
import { Bones } from "./parts/list.js";
import { connected } from "./socket.js";
import { useEffect, useRef, useState } from "./vendor/hooks.mjs";

/**
 * A component that stands for one of a module that is fetched once, on the first visit.
 * `name`: what the module calls it; `fetchModule`: fetches it, with the path written out so that tests can follow it.
 */
export function onDemand(name, fetchModule) {
  let Room = null;
  return function OnDemand(props) {
    const [, redraw] = useState(0), [failures, setFailures] = useState(0);
    const inFocus = useRef(false); // what stood here meanwhile: its place in the order of focus goes to the room
    const fetchRoom = () => fetchModule().then((module) => { inFocus.current = Boolean(document.activeElement?.closest("main")); Room = module[name]; redraw((count) => count + 1); }, () => setFailures((count) => count + 1));
    const online = connected();
    useEffect(() => { if (!Room && (online || !failures)) fetchRoom(); }, [online]);
    useEffect(() => { if (Room && inFocus.current && document.activeElement === document.body) document.querySelector("h1[tabindex]")?.focus({ preventScroll: true }); }, [Room]);
    if (Room) return html`<${Room} ...${props} />`;
    if (failures) return html`<${Unreachable} again=${fetchRoom} failures=${failures} />`;
    return html`<h1 class="vh" tabindex="-1">Loading</h1><${Bones} label="this page" />`;
  };
}

/** A Hub that has been updated keeps no files of the one before: then only loading everything anew helps. */
const Unreachable = ({ again, failures }) => html`<section class="empty"><h1 tabindex="-1">This page could not be loaded</h1>
  <div>${failures > 1 && connected() ? html`<${Wrong}>Still nothing. The Hub may have been updated meanwhile; load the whole page anew.<//>` : html`<p>The Hub did not answer. It is fetched again once there is a connection.</p>`}</div>
  <div class="row"><button class="btn btn-main" type="button" onClick=${again}>Try again</button>${failures > 1 && html`<button class="btn" type="button" onClick=${() => location.reload()}>Load anew</button>`}</div></section>`;
