// What the page does: images and captions in, one request, three views of its response.

const $ = (selector) => document.querySelector(selector);
let models = [];
let last = null; // {path, body, shown, texts, answer}: what the heatmap and the matches show
let classified = null;
let lastRequest = null; // for curl: the view that is open
let waiting = 0; // number of the request whose response counts

function chosenModel() {
  return models.length > 1 ? { model: $("#model").value } : {};
}

function chosenFacts() {
  return models.find(({ id }) => models.length === 1 || id === $("#model").value);
}

function captions() {
  return $("#captions").value.split("\n").map((line) => line.trim()).filter(Boolean);
}

function changed() {
  showThumbs(changed);
  $("#image-count").textContent = images.length || "";
  $("#caption-count").textContent = captions().length || "";
  $("#clear").hidden = !images.length;
  $("#results").classList.toggle("stale", Boolean(last) && !isCurrent());
}

function isCurrent() {
  return last && last.key === keyOf(captions());
}

function keyOf(texts) {
  return JSON.stringify([chosenModel(), texts, images.map((item) => item.uri)]);
}

function showError(error) {
  const box = $("#error");
  box.hidden = !error;
  if (!error) return;
  const code = error.code && error.code !== "key" ? [element("code", "", error.code)] : [];
  box.replaceChildren(...code, error.message);
  if (error.code === "key") openKeyPanel(true);
}

// Asks and shows; a response that a later request has overtaken is dropped.
async function request(button, path, body, show) {
  const turn = (waiting += 1);
  showError(null);
  button.disabled = true;
  $("#status").replaceChildren("asking …");
  try {
    const { body: answer, timing } = await ask(path, body);
    if (turn !== waiting) return;
    lastRequest = { path, body };
    $("#copy-curl").hidden = false;
    showStatus(timing);
    show(answer);
  } catch (error) {
    if (turn !== waiting) return;
    $("#status").replaceChildren();
    showError(error);
  } finally {
    button.disabled = false;
  }
}

async function compare() {
  const texts = captions();
  if (!images.length || !texts.length) {
    const missing = images.length ? "Write a caption" : texts.length ? "Add an image" : "Add an image and a caption";
    showError(new ApiProblem(0, "", `${missing} first, or try the drawn shapes.`));
    return;
  }
  const shown = [...images];
  const key = keyOf(texts);
  const body = { ...chosenModel(), images: shown.map((item) => item.uri), texts };
  await request($("#run"), "v1/similarity", body, (answer) => {
    last = { shown, texts, answer, key };
    $("#results").hidden = false;
    $("#empty").hidden = true;
    showScores();
    showNotice(cutNotice(texts, answer.usage?.prompt_tokens, chosenFacts()?.context_length));
    changed();
    bringIntoView($("#results"));
  });
  if (last && !$("#view-zero-shot").hidden) await classify();
}

function showScores() {
  if (!last) return;
  const view = { ...last, asProbability: $("#as-probability").checked };
  showHeatmap(view);
  showMatches(view);
}

async function classify() {
  const shown = [...images];
  const body = zeroShotRequest();
  const missing = missingForZeroShot(body);
  if (missing) {
    $("#classified").replaceChildren();
    classified = null;
    showError(new ApiProblem(0, "", missing));
    return;
  }
  await request($("#zero-shot-form button"), "v1/classify", body, (answer) => {
    classified = keyOf([]);
    showClassified(shown, answer);
  });
}

function choose(tab) {
  for (const one of document.querySelectorAll("[role=tab]")) {
    const chosen = one === tab;
    one.setAttribute("aria-selected", String(chosen));
    one.tabIndex = chosen ? 0 : -1;
    document.getElementById(one.getAttribute("aria-controls")).hidden = !chosen;
  }
  $("#scale-label").hidden = tab.id === "tab-zero-shot";
  if (tab.id !== "tab-zero-shot") return;
  if (!$("#labels").value) $("#labels").value = captions().join(", ");
  if (classified !== keyOf([])) classify();
}

function openKeyPanel(open) {
  $("#key-panel").hidden = !open;
  $("#key-button").setAttribute("aria-expanded", String(open));
  if (open) $("#key").focus();
}

async function loadModels() {
  try {
    const { body } = await ask("v1/models");
    models = body.data;
    for (const { image_formats } of models) for (const kind of image_formats) taken.add(kind);
    $("#model").replaceChildren(...models.map(({ id }) => element("option", "", id)));
    $(".model").hidden = models.length < 2;
    showFacts();
  } catch (error) {
    $("#facts").textContent = "";
    showError(error);
  }
}

function showFacts() {
  const model = chosenFacts();
  const [height, width] = model.image_size;
  const name = models.length > 1 ? "" : `${model.id} · `;
  $("#facts").textContent = `${name}${model.embed_dim} dimensions · images ${width}×${height} · ${model.context_length} tokens`;
}

async function take(files) {
  const problems = await addFiles(files);
  changed();
  showError(problems.length ? new ApiProblem(0, "", problems.join(" ")) : null);
}

const dropped = (event) => [...(event.dataTransfer ?? event.clipboardData).files];
const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    $("#drop").classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") take(dropped(event));
  });
}
document.addEventListener("paste", (event) => {
  if (dropped(event).length) take(dropped(event));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) compare();
});
$("#add").addEventListener("click", () => $("#files").click());
$("#files").addEventListener("change", async ({ target }) => {
  await take([...target.files]);
  target.value = "";
});
$("#clear").addEventListener("click", () => {
  images.length = 0;
  changed();
});
$("#captions").addEventListener("input", () => {
  if ($("#labels").value === EXAMPLE_LABELS) $("#labels").value = ""; // they go with the drawn shapes' captions
  changed();
});
$("#model").addEventListener("change", () => {
  showFacts();
  changed();
});
$("#run").addEventListener("click", compare);
$("#examples").addEventListener("click", () => {
  images.splice(0, images.length, ...drawnShapes());
  $("#captions").value = EXAMPLE_CAPTIONS.join("\n");
  $("#labels").value = EXAMPLE_LABELS;
  changed();
  compare();
});
$("#as-probability").addEventListener("change", showScores);
dark.addEventListener("change", showScores);
$("#copy-curl").addEventListener("click", async ({ target }) => {
  const said = target.textContent;
  try {
    await navigator.clipboard.writeText(asCurl(lastRequest.path, lastRequest.body));
    target.textContent = "Copied";
  } catch {
    target.textContent = "The browser did not allow it";
  }
  setTimeout(() => (target.textContent = said), 1500);
});
$(".tabs").addEventListener("click", ({ target }) => target.role === "tab" && choose(target));
$(".tabs").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const tabs = [...document.querySelectorAll("[role=tab]")];
  if (!step || !tabs.includes(event.target)) return;
  const next = tabs.at((tabs.indexOf(event.target) + step) % tabs.length);
  choose(next);
  next.focus();
});
$("#zero-shot-form").addEventListener("submit", (event) => {
  event.preventDefault();
  classify();
});
$("#key-button").addEventListener("click", () => openKeyPanel($("#key-panel").hidden));
$("#key-panel").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("#key").value.trim());
  $("#key").value = "";
  openKeyPanel(false);
  showError(null);
  loadModels();
});
$("#key-forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  openKeyPanel(false);
});
$("#ghost").append(...ghost());
if (/Mac|iPhone|iPad/.test(navigator.platform)) $("#shortcut").textContent = "⌘ ↵";
loadModels();
