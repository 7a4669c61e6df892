// What the page says beside its results, and that they are seen.

function showStatus(timing) {
  const chip = (text, kind) => element("span", `chip ${kind ?? ""}`, text);
  const { stages, milliseconds, cold } = timing;
  const inside = ["load", "inference"]
    .filter((name) => stages[name] >= 0.5)
    .map((name) => chip(`${name} ${stages[name].toFixed(stages[name] < 10 ? 1 : 0)} ms`));
  $("#status").replaceChildren(
    chip(cold ? "cold container" : "warm container", cold ? "cold" : "warm"),
    chip(`request ${milliseconds.toFixed(0)} ms`),
    ...inside,
  );
  $("#status").title = Object.entries(stages).map(([name, time]) => `${name} ${time} ms`).join(", ");
}

// What of the captions the model did not read, as far as the API's count of tokens tells.
function cutNotice(texts, tokens, most) {
  if (!most) return "";
  const words = (text) => text.split(/\s+/).length; // a token each at least
  const long = texts.map((text, index) => (words(text) >= most ? index + 1 : 0)).filter(Boolean);
  const full = tokens === texts.length * most;
  if (!long.length && !full) return "";
  const all = texts.length > 1 ? "All captions fill" : "The caption fills";
  const some = long.length === 1 ? `Caption ${long[0]} fills` : `Captions ${long.join(", ")} fill`;
  return `${full || long.length === texts.length ? all : some} the model's ${most} tokens: the rest was not read.`;
}

function showNotice(text) {
  const box = document.querySelector("#notice");
  box.textContent = text;
  box.hidden = !text;
}

// On a phone the results begin below what is seen: without this a button there seems to do nothing.
function bringIntoView(results) {
  if (results.getBoundingClientRect().top < 0.7 * innerHeight) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  results.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}
