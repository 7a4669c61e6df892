// What the page says beside its results, and that they are seen.

let lastTiming = null;
let lastError = null;
let lastNotice = null;

// What the last response took, "asking" while it is waited for, or null.
function showStatus(timing) {
  lastTiming = timing;
  if (!timing || timing === "asking") {
    $("#status").replaceChildren(...(timing ? [t("asking")] : []));
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
  const places = [...new Set(full.map((field) => Number(field.match(/\[(\d+)\]/)?.[1] ?? 0) + 1))];
  const tokens = chosenFacts()?.context_length;
  showNotice(full.length ? () => t(key, { tokens, places: listed(places) }) : null);
}

// `say` returns the notice in the language that is chosen; null for none.
function showNotice(say) {
  lastNotice = say;
  const box = $("#notice");
  box.textContent = say ? say() : "";
  box.hidden = !say;
}

function showError(error) {
  lastError = error;
  drawError();
  if (error?.code === "key") openKeyPanel(true);
}

function drawError() {
  const box = $("#error");
  box.hidden = !lastError;
  if (!lastError) return;
  const { code, say, message } = lastError;
  box.replaceChildren(...(code && code !== "key" ? [element("code", "", code)] : []), say ? say() : message);
}
redraws.push(drawError, () => showNotice(lastNotice));

// On a phone the results begin below what is seen: without this a button there seems to do nothing.
function bringIntoView(results) {
  if (results.getBoundingClientRect().top < 0.7 * innerHeight) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  results.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}
