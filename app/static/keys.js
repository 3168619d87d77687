"use strict";
// Keys, and landing on the field that a link is about. No text of its own: the sheet is in the page (_keys.html).
(() => {
  const byId = (id) => document.getElementById(id);
  const FIELD = "input:not([type=hidden]):not([tabindex='-1']), select, textarea";

  // A link with #part leads to the very field: what is folded around it opens, and the first field in it takes the focus.
  const land = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { return; }
    const part = id && byId(id);
    if (!part || part.id === "main" || !part.closest("main")) return;
    const field = part.matches(FIELD) ? part : part.querySelector(FIELD) || part.querySelector("button, a[href]") || part;
    for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    if (field === part && !part.matches(`${FIELD}, button, a[href]`)) part.tabIndex = -1;
    field.focus({ preventScroll: true });
    (part.contains(field) && part.offsetHeight > innerHeight / 2 ? field : part).scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", land);
  // The browser's own way to the part comes first, and takes the focus from whatever has it.
  addEventListener("load", () => setTimeout(land));

  // Keys are off with <body data-keys="off"> (WCAG 2.1.4), while something is typed, and in a dialog.
  const typing = (el) => el.closest("input:not([type=checkbox]), select, textarea, [contenteditable]:not([contenteditable=false])");
  const press = (el) => { if (el && el.getAttribute("aria-disabled") !== "true") { el.click(); return true; } return Boolean(el); };
  const find = (selector) => document.querySelector(selector);

  const rows = () => [...document.querySelectorAll("main table tbody tr")].filter((row) => row.querySelector("th a[href]"));
  const row = () => document.activeElement.closest("main table tbody tr");
  const step = (by) => {
    const all = rows();
    const at = all.indexOf(row());
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
    if (next) { next.querySelector("th a[href]").focus(); next.scrollIntoView({ block: "nearest" }); }
    return all.length > 0;
  };
  const folds = () => {
    const all = [...document.querySelectorAll("#timeline details")];
    const open = all.some((one) => !one.open);
    for (const one of all) one.open = open;
    return all.length > 0;
  };
  const copy = () => {
    const text = find("main .ref code");
    if (!text) return false;
    getSelection().selectAllChildren(text);
    const said = byId("announce");
    const done = () => { if (said) said.textContent = text.parentElement.dataset.copied || ""; };
    if (navigator.clipboard) navigator.clipboard.writeText(text.textContent).then(done, () => {});
    return true;
  };
  const search = () => {
    const box = find("main [data-search]") || find("[data-search]");
    if (box) { box.focus(); box.select(); }
    return Boolean(box);
  };
  const KEYS = {
    "/": search,
    "?": () => { const sheet = byId("keys"); if (sheet) sheet.showModal(); return Boolean(sheet); },
    j: () => press(find('[data-key="j"]')) || step(1),
    k: () => press(find('[data-key="k"]')) || step(-1),
    o: () => press(row() && row().querySelector("th a[href]")),
    x: () => press(row() && row().querySelector("input[type=checkbox]")),
    e: folds,
    f: () => press(find('a[href="#failed-step"]')),
    r: () => press(byId("retry")),
    R: () => press(byId("replay")),
    c: copy,
  };

  let afterG = -Infinity;
  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
      const form = e.target.closest("form[data-submits]");
      if (form) { e.preventDefault(); form.requestSubmit(); }
      return;
    }
    if (document.body.dataset.keys === "off" || e.defaultPrevented || e.isComposing) return;
    if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || find("dialog[open]")) return;
    const inSequence = performance.now() - afterG < 1500;
    afterG = -Infinity;
    if (inSequence) {
      if (press(find(`[data-go="${CSS.escape(e.key.toLowerCase())}"]`))) e.preventDefault();
    } else if (e.key === "g") {
      afterG = performance.now();
    } else if (Object.hasOwn(KEYS, e.key) && KEYS[e.key]()) {
      e.preventDefault();
    }
  });
})();
