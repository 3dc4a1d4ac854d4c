// A dialog: the browser's own, modal; Escape closes it and the focus goes back.
import { html } from "../html.js";
import { useLayoutEffect, useRef } from "../vendor/hooks.mjs";

export function Dialog({ label, cls = "", onClose, children }) {
  const self = useRef(null);
  useLayoutEffect(() => { // before anything else is typed
    const dialog = self.current, before = document.activeElement;
    dialog.showModal();
    return () => { if (dialog.open) dialog.close(); if (before?.isConnected) before.focus(); };
  }, []);
  const outside = (event) => { if (event.target === self.current) onClose(); };
  return html`<dialog ref=${self} class=${`dialog ${cls}`} aria-label=${label} onClose=${onClose} onCancel=${(event) => { event.preventDefault(); onClose(); }} onClick=${outside}>${children}</dialog>`;
}
