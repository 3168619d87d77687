"use strict";
// Polling manners, toasts, dialogs and unsaved work; keys are in keys.js. Everything works without, only less smoothly.
// No eval and no text of its own: words come from the page, so the strict content policy and translation both hold.
(() => {
  const byId = (id) => document.getElementById(id);
  const failures = new WeakMap();
  const isPoll = (e) => Boolean(e.detail.elt && e.detail.elt.hasAttribute("data-poll"));

  // The extension as shipped takes every swap but morph:innerHTML for an outer one, so that `innerHTML` and `beforeend`
  // out of band would nest their wrapper; and it evaluates `morph:{…}`. Only the two plain forms exist here.
  htmx.defineExtension("morph", {
    isInlineSwap: (style) => style === "morph:outerHTML" || style === "outerHTML",
    handleSwap: (style, target, fragment) =>
      style === "morph:outerHTML" || style === "morph:innerHTML"
        ? Idiomorph.morph(target, fragment.children, { morphStyle: style.slice(6) })
        : false,
  });

  // Morphing would remove the `open` attribute that the server never sends: keep what the reader opened.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, el) =>
    name === "open" && el.localName === "details" ? false : undefined;

  // A hidden tab asks nothing, and a failing poll waits longer each time. A "wake" is a person and always passes.
  document.addEventListener("htmx:beforeRequest", (e) => {
    if (!isPoll(e)) return;
    const failed = failures.get(e.detail.elt);
    const cause = e.detail.requestConfig.triggeringEvent;
    const woken = cause && cause.type === "wake";
    const tooSoon = failed && !woken && performance.now() < failed.until;
    if (document.visibilityState !== "visible" || tooSoon) e.preventDefault();
  });

  // The banner speaks for a failing poll; a toast for every try would bury the page.
  document.addEventListener("htmx:beforeSwap", (e) => {
    const source = e.detail.requestConfig && e.detail.requestConfig.elt;
    if (source && source.hasAttribute("data-poll") && e.detail.xhr.status >= 400) e.detail.shouldSwap = false;
  });

  document.addEventListener("htmx:afterRequest", (e) => {
    if (!isPoll(e)) return;
    const code = e.detail.xhr.status;
    if (code >= 200 && code < 400) {
      failures.delete(e.detail.elt);
      for (const id of ["stale", "signed-out"]) if (byId(id)) byId(id).hidden = true;
      return;
    }
    const failed = failures.get(e.detail.elt) || { count: 0, until: 0 };
    failed.count += 1;
    const wait = Math.min(60000, 1000 * 2 ** failed.count);
    failed.until = performance.now() + wait * (0.75 + Math.random() / 2);
    failures.set(e.detail.elt, failed);
    const banner = byId(code === 401 ? "signed-out" : "stale");
    if (banner) banner.hidden = false;
  });

  // A person's action that got no answer may have been carried out: the template's words say so.
  const lost = (e) => {
    if (isPoll(e)) return;
    const words = byId("tpl-lost");
    const box = byId("toasts");
    if (words && box) box.append(words.content.cloneNode(true));
  };
  document.addEventListener("htmx:sendError", lost);
  document.addEventListener("htmx:timeout", lost);

  // What was typed as a password can be looked at. The button is of no use without this, so it is hidden until here.
  const revealers = () => document.querySelectorAll("[data-reveal]").forEach((b) => (b.hidden = false));
  revealers();
  document.addEventListener("htmx:afterSettle", revealers);
  document.addEventListener("click", (e) => {
    const button = e.target.closest("[data-reveal]");
    const field = button && byId(button.dataset.reveal);
    if (!field) return;
    field.type = field.type === "password" ? "text" : "password";
    button.setAttribute("aria-pressed", field.type === "text");
  });

  const wake = () => document.visibilityState === "visible" && htmx.trigger(document.body, "wake");
  document.addEventListener("visibilitychange", wake);
  addEventListener("pageshow", (e) => e.persisted && wake());

  // A browser without `commandfor`: go to the page with the same question, or open and close by hand.
  if (!("commandForElement" in HTMLButtonElement.prototype)) {
    document.addEventListener("click", (e) => {
      const button = e.target.closest("button[commandfor]");
      const dialog = button && byId(button.getAttribute("commandfor"));
      if (!dialog) return;
      if (button.dataset.page) location.assign(button.dataset.page);
      else if (button.getAttribute("command") === "close") dialog.close();
      else dialog.showModal();
    });
  }

  // Sent by the server after a form inside a dialog succeeded.
  document.addEventListener("dialog:close", (e) => {
    const dialog = document.querySelector(e.detail.dialog || "dialog[open]");
    if (dialog) dialog.close();
  });

  // Toasts. One with data-leave goes by itself after that many ms, but never while it is pointed at or focused.
  const leave = (toast) => {
    const held = () => toast.matches(":hover, :focus-within") || document.visibilityState !== "visible";
    const go = () => (held() ? setTimeout(go, 2000) : toast.remove());
    setTimeout(go, Number(toast.dataset.leave));
  };
  const toasts = byId("toasts");
  if (toasts) {
    new MutationObserver((changes) => {
      for (const change of changes)
        for (const node of change.addedNodes) if (node.dataset && node.dataset.leave) leave(node);
    }).observe(toasts, { childList: true });
  }

  document.addEventListener("click", (e) => {
    if (e.target.closest("[data-wake]")) wake();
    const dismiss = e.target.closest("[data-dismiss]");
    if (!dismiss) return;
    const message = dismiss.closest(".toast, .flash");
    const next = message.nextElementSibling || message.previousElementSibling;
    message.remove();
    ((next && next.querySelector("[data-dismiss]")) || byId("main")).focus({ preventScroll: true });
  });

  // A form with data-unsaved holds work: leaving its page asks first, unless the form itself leads away.
  document.addEventListener("input", (e) => {
    const form = e.target.closest("form[data-unsaved]");
    if (form) form.dataset.unsaved = "changed";
  });
  document.addEventListener("submit", (e) => { if (e.target.dataset.unsaved) e.target.dataset.unsaved = "sent"; });
  document.addEventListener("htmx:beforeOnLoad", (e) => {
    const form = e.detail.elt.closest("form[data-unsaved]");
    if (form) form.dataset.unsaved = e.detail.xhr.getResponseHeader("HX-Redirect") ? "sent" : "changed";
  });
  addEventListener("beforeunload", (e) => {
    if (document.querySelector('form[data-unsaved="changed"]')) e.preventDefault();
  });
})();
