// The documentation's forms: each sends its operation to this very API, and shows what was answered.

for (const form of document.querySelectorAll(".try")) {
  form.hidden = false;
  const examples = [...form.closest("section").querySelectorAll(".example pre")].map((one) => one.textContent);
  const chosen = form.querySelector(".examples");
  const fill = () => {
    const area = form.querySelector("textarea");
    area.value = examples[chosen.selectedIndex] ?? "{}";
    area.rows = Math.min(12, area.value.split("\n").length + 1);
  };
  if (chosen) {
    chosen.addEventListener("change", fill);
    fill();
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

async function send(form) {
  const [button, said, shown] = ["button", "[role=status]", "pre"].map((selector) => form.querySelector(selector));
  const body = form.querySelector("textarea")?.value;
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  const path = form.dataset.path.replace(/\{(\w+)\}/g, (_, name) => {
    const value = query.get(name) ?? "";
    query.delete(name);
    return encodeURIComponent(value);
  });
  button.disabled = true;
  said.textContent = "asking …";
  const started = performance.now();
  try {
    const response = await fetch(apiUrl(path) + (query.size ? `?${query}` : ""), {
      method: form.dataset.method,
      headers: { ...authorization(), ...(body === undefined ? {} : { "content-type": "application/json" }) },
      body,
    });
    const text = await response.text();
    said.textContent = `${response.status} · ${(performance.now() - started).toFixed(0)} ms · ${new Blob([text]).size.toLocaleString("en")} bytes`;
    shown.textContent = readable(text);
    if (response.status === 401 || response.status === 403) document.querySelector("#key").focus();
  } catch {
    said.textContent = "The API cannot be reached from here. Is it still running?";
    shown.textContent = "";
  } finally {
    shown.hidden = !shown.textContent;
    button.disabled = false;
  }
}

// Indented, with rows of numbers on one line; a very long answer is cut.
function readable(text) {
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2).replace(/\[\s+(-?[\d.e+-]+(?:,\s+-?[\d.e+-]+)*)\s+\]/g, (_, numbers) => `[${numbers.replace(/\s+/g, " ")}]`);
  } catch {
    // not JSON: shown as it is
  }
  return shown.length > 20_000 ? `${shown.slice(0, 20_000)}\n…` : shown;
}

const panel = document.querySelector("#key-panel");
const key = document.querySelector("#key");
const keyAbout = document.querySelector("#key-about");
panel.hidden = false;
panel.addEventListener("submit", (event) => {
  event.preventDefault();
  storage("sessionStorage").setItem(KEY, key.value.trim());
  key.value = "";
  keyAbout.textContent = "The key is kept in this tab until it is closed.";
});
document.querySelector("#key-forget").addEventListener("click", () => {
  storage("sessionStorage").removeItem(KEY);
  keyAbout.textContent = "The key is forgotten.";
});
