// Runs in each measured page before its own scripts: notes what the socket said, when it was on screen, and what froze the page.
(() => {
  const clock = () => performance.timeOrigin + performance.now();
  const probe = { heard: {}, painted: {}, clicks: {}, useful: null, long: [] };
  window.probe = probe;

  // A frame is on screen once an animation frame has begun after the change and the task behind it runs.
  const afterPaint = (then) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = then;
    channel.port2.postMessage(null);
  });

  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => {
        const received = clock();
        const frame = JSON.parse(data);
        if (frame.type !== "event" || !/^approval\.(?!delivered)/.test(frame.kind)) return;
        probe.heard[`${frame.data.id} ${frame.data.status}`] ??= { at: Date.parse(frame.at), received };
      });
    }
  };

  const look = () => {
    const first = document.querySelector(".approval:not([aria-busy]) h2, .fleet .name");
    if (first && probe.useful === null) {
      probe.useful = 0;
      afterPaint(() => { probe.useful = performance.now(); });
    }
    for (const card of document.querySelectorAll("[data-approval]")) {
      const settled = card.classList.contains("settled");
      const key = `${card.dataset.approval} ${settled ? "settled" : "waits"}`;
      if (key in probe.painted) continue;
      probe.painted[key] = 0;
      afterPaint(() => { probe.painted[key] = clock(); });
    }
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["class", "aria-busy"] });
  addEventListener("click", (event) => {
    const card = event.target.closest?.("[data-approval]");
    if (card) probe.clicks[card.dataset.approval] = clock();
  }, true);
  new PerformanceObserver((list) => list.getEntries().forEach((one) => probe.long.push(one.duration))).observe({ type: "longtask", buffered: true });

  /** Do something, and answer how long it took until it was on screen, in milliseconds. */
  probe.timed = (deed) => new Promise((resolve) => {
    const begun = performance.now();
    deed();
    setTimeout(() => afterPaint(() => resolve(performance.now() - begun)), 0);
  });
})();
