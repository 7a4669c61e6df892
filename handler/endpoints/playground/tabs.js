// Tabs, by pointer and by keyboard: arrows go from one to the next, and a tab that is reached is open.

function tabs(list, onChoose) {
  const all = [...list.querySelectorAll("[role=tab]")];
  const choose = (tab) => {
    for (const one of all) {
      one.setAttribute("aria-selected", String(one === tab));
      one.tabIndex = one === tab ? 0 : -1;
    }
    onChoose(tab);
  };
  list.addEventListener("click", ({ target }) => all.includes(target) && choose(target));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !all.includes(event.target)) return;
    event.preventDefault();
    const next = all.at((all.indexOf(event.target) + step) % all.length);
    choose(next);
    next.focus();
  });
  return choose;
}

// Of several panels, shows the tab's own.
function showPanel(tab) {
  for (const one of tab.parentElement.querySelectorAll("[role=tab]")) {
    document.getElementById(one.getAttribute("aria-controls")).hidden = one !== tab;
  }
}
