// What the page says, in the browser's language or the one that was chosen: every text is in texts.<language>.json.

const LANGUAGE = "openclip-language";
const redraws = []; // what holds texts and was not written by `tell`
let language = chosenLanguage();

function $(selector) {
  return document.querySelector(selector);
}

function chosenLanguage() {
  const wanted = [storage("localStorage").getItem(LANGUAGE), ...navigator.languages].filter(Boolean);
  return wanted.map((one) => one.slice(0, 2)).find((one) => one in TEXTS) ?? "en";
}

function t(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// "a, b" as the language writes a list.
function listed(parts) {
  return new Intl.ListFormat(language, { type: "unit", style: "short" }).format(parts.map(String));
}

function grouped(value) {
  return value.toLocaleString(language);
}

function tell() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : language;
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = t(one.dataset.text);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", t(one.dataset.label));
  for (const one of document.querySelectorAll("[data-example]")) one.placeholder = t(one.dataset.example);
  $("#language").lang = language === "zh" ? "en" : "zh-CN";
}

function speak(other) {
  language = other;
  storage("localStorage").setItem(LANGUAGE, other);
  tell();
  redraws.forEach((redraw) => redraw());
}
