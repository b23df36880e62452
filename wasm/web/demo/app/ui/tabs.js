/** Tabs by the pattern of the ARIA Authoring Practices; the address names the open one. */
export function tabs(list) {
  const all = [...list.querySelectorAll("[role=tab]")];
  const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

  const open = (chosen) => {
    for (const tab of all) {
      const isChosen = tab === chosen;
      tab.setAttribute("aria-selected", isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
      panelOf(tab).hidden = !isChosen;
    }
    // Canvases have a size from now on.
    panelOf(chosen).dispatchEvent(new Event("open"));
  };
  const openNamed = () => open(all.find((tab) => `#${panelOf(tab).id}` === location.hash) ?? all[0]);

  list.addEventListener("click", ({ target }) => {
    const tab = target.closest("[role=tab]");
    if (tab === null) return;
    history.replaceState(null, "", `#${panelOf(tab).id}`);
    open(tab);
  });
  list.addEventListener("keydown", (event) => {
    const at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    all[to % all.length].focus();
    all[to % all.length].click();
  });
  addEventListener("hashchange", openNamed);
  openNamed();
}
