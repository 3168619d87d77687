"use strict";
// The step editor's own script: the token picker, and the pieces of the preview that stand elsewhere in the step.
(() => {
  const byId = (id) => document.getElementById(id);
  const shown = (picker) => [...picker.querySelectorAll("[data-insert]")].filter((one) => one.checkVisibility());
  // The field that takes the token is remembered by id: an answer of the server may have put another in its place.
  let field = "";

  document.addEventListener("focusin", (e) => { if (e.target.matches("[data-tokens]")) field = e.target.id; });

  const insert = (button) => {
    button.closest("[data-picker]").hidePopover();
    const into = byId(field);
    if (!into) return;
    into.focus();
    into.setRangeText(button.dataset.insert, into.selectionStart, into.selectionEnd, "end");
    into.dispatchEvent(new Event("input", { bubbles: true }));
  };

  document.addEventListener("click", (e) => {
    const opener = e.target.closest("[data-picks]");
    const choice = e.target.closest("[data-insert]");
    if (choice) insert(choice);
    if (!opener) return;
    // The browser then puts the focus there as it opens; in the page the attribute would be taken for this page's own.
    byId(opener.getAttribute("popovertarget")).querySelector("[data-filter]").autofocus = true;
    // A button beside other fields than the last one means its own: the first that is blank.
    const fields = [...opener.closest("[data-box]").querySelectorAll("[data-tokens]")];
    if (!fields.some((one) => one.id === field)) field = (fields.find((one) => !one.value) || fields.at(-1)).id;
  }, true);

  // What is typed into the filter is no change of the draft: neither the guard nor the preview hears of it.
  document.addEventListener("input", (e) => {
    if (!e.target.matches("[data-filter]")) return;
    e.stopPropagation();
    const picker = e.target.closest("[data-picker]");
    const words = e.target.value.toLowerCase().split(/\s+/);
    for (const one of picker.querySelectorAll("[data-insert]")) {
      const text = one.textContent.toLowerCase();
      one.parentElement.hidden = !words.every((word) => text.includes(word));
    }
    for (const group of picker.querySelectorAll("[data-group]")) group.hidden = !group.querySelector("li:not([hidden])");
    picker.querySelector("[data-none]").hidden = Boolean(picker.querySelector("li:not([hidden])"));
  }, true);

  document.addEventListener("keydown", (e) => {
    const picker = e.target.closest("[data-picker]");
    if (!picker || e.isComposing) return;
    const choices = shown(picker);
    const at = choices.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step) {
      e.preventDefault();
      (at + step < 0 ? picker.querySelector("[data-filter]") : choices[at + step] || choices[at])?.focus();
    } else if (e.key === "Enter" && at < 0) {
      e.preventDefault();
      if (choices[0]) insert(choices[0]);
    }
  });

  // A preview that did not come is said where it stands: a toast for every pause in typing would bury the page.
  const late = (is) => { const words = document.querySelector("[data-late]"); if (words) words.hidden = !is; };
  const lost = (e) => {
    if (!e.detail.elt.matches("[data-apart]")) return;
    e.stopPropagation();
    late(true);
  };
  for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, lost, true);
  document.addEventListener("htmx:beforeSwap", (e) => {
    if (!e.detail.requestConfig.elt.matches("[data-apart]") || e.detail.xhr.status < 400) return;
    e.detail.shouldSwap = false;
    if (e.detail.xhr.status === 401) byId("signed-out").hidden = false;
    late(true);
  });

  document.addEventListener("htmx:afterSwap", (e) => {
    if (!e.target.matches("[data-apart]")) return;
    late(false);
    byId("signed-out").hidden = true;
    for (const piece of e.target.querySelectorAll("template[data-to]")) {
      byId(piece.dataset.to)?.replaceChildren(piece.content.cloneNode(true));
      piece.remove();
    }
  });
})();
