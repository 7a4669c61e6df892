// What the page says beside its results, and that they are seen.

let lastTiming = null;

function showStatus(timing) {
  lastTiming = timing;
  if (!timing) {
    $("#status").replaceChildren();
    return;
  }
  const chip = (text, kind) => element("span", `chip ${kind ?? ""}`, text);
  const { stages, milliseconds, cold } = timing;
  const inside = ["load", "inference"]
    .filter((name) => stages[name] >= 0.5)
    .map((name) => chip(t(`stage.${name}`, { time: `${stages[name].toFixed(stages[name] < 10 ? 1 : 0)} ms` })));
  $("#status").replaceChildren(
    chip(t(cold ? "cold" : "warm"), cold ? "cold" : "warm"),
    chip(t("request", { time: `${milliseconds.toFixed(0)} ms` })),
    ...inside,
  );
  $("#status").title = Object.entries(stages).map(([name, time]) => `${name} ${time} ms`).join(", ");
}
redraws.push(() => showStatus(lastTiming));

// Which texts the model did not read to their end: `full` names their fields, as texts[1].
function showCut(key, full) {
  const places = listed([...new Set(full.map((field) => Number(field.match(/\[(\d+)\]/)?.[1] ?? 0) + 1))]);
  showNotice(full.length ? t(key, { tokens: chosenFacts()?.context_length, places }) : "");
}

function showNotice(text) {
  const box = $("#notice");
  box.textContent = text;
  box.hidden = !text;
}

function showError(error) {
  const box = $("#error");
  box.hidden = !error;
  if (!error) return;
  const code = error.code && error.code !== "key" ? [element("code", "", error.code)] : [];
  box.replaceChildren(...code, error.message);
  if (error.code === "key") openKeyPanel(true);
}

// On a phone the results begin below what is seen: without this a button there seems to do nothing.
function bringIntoView(results) {
  if (results.getBoundingClientRect().top < 0.7 * innerHeight) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  results.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}
