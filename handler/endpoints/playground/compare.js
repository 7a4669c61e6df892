// Comparing: images and captions in, one request, three views of its response.

let last = null; // {shown, texts, answer, key}: what the heatmap and the matches show
let classified = null; // the key of what is shown of zero-shot
let offered = null; // labels that were not typed, but go with the captions

function captions() {
  return $("#captions").value.split("\n").map((line) => line.trim()).filter(Boolean);
}

function changed() {
  showThumbs($("#thumbs"), images, changed);
  showCounts();
  $("#clear").hidden = !images.length;
  $("#results").classList.toggle("stale", Boolean(last) && last.key !== keyOf(captions()));
}

function showCounts() {
  $("#image-count").textContent = images.length || "";
  $("#caption-count").textContent = captions().length || "";
}

function keyOf(texts) {
  return JSON.stringify([chosenModel(), texts, images.map((item) => item.uri)]);
}

async function compare() {
  const texts = captions();
  if (!images.length || !texts.length) {
    const missing = images.length ? "missing.caption" : texts.length ? "missing.image" : "missing.both";
    showError(new ApiProblem(0, "", () => t(missing)));
    return;
  }
  const shown = [...images];
  const key = keyOf(texts);
  const model = chosenFacts()?.id;
  const body = { ...chosenModel(), images: shown.map((item) => item.uri), texts, ...asShown(shown) };
  const shownNow = await request($("#run"), "v1/similarity", body, shown, (answer, { full }) => {
    last = { shown, texts, answer, key };
    activations.set(model, answer.activation);
    $("#results").hidden = false;
    $("#empty").hidden = true;
    showScores();
    showCut("cut.captions", full);
    changed();
    bringIntoView($("#results"));
  });
  if (!shownNow || $("#view-zero-shot").hidden) return;
  offerLabels(captions().join(", "));
  await classify();
}

function showScores() {
  if (!last) return;
  const view = { ...last, asProbability: $("#as-probability").checked };
  showHeatmap(view);
  showMatches(view);
}

async function classify() {
  const shown = [...images];
  const key = keyOf([]);
  const { body, none } = zeroShotRequest();
  const missing = missingForZeroShot(body);
  if (missing) {
    $("#classified").replaceChildren();
    classified = shownClasses = null;
    showError(new ApiProblem(0, "", () => t(missing)));
    return;
  }
  const model = chosenFacts()?.id;
  const expected = activations.get(model) ?? "sigmoid";
  await request($("#zero-shot-form button"), "v1/classify", body, shown, (answer, { full }) => {
    activations.set(model, answer.activation);
    if (offersNone() && answer.activation !== expected) return classify(); // now it is known what to send
    classified = key;
    showClassified(shown, answer, none);
    showCut("cut.labels", full);
    bringIntoView($("#classified"));
  });
}

function chooseView(tab) {
  showPanel(tab);
  $("#scale-label").hidden = tab.id === "tab-zero-shot";
  if (tab.id !== "tab-zero-shot") return;
  offerLabels(captions().join(", "));
  if (classified !== keyOf([])) classify();
}

function offerLabels(labels) {
  if (!$("#labels").value) $("#labels").value = offered = labels;
}

function showExamples() {
  images.splice(0, images.length, ...drawnShapes());
  $("#captions").value = EXAMPLE_CAPTIONS.join("\n");
  $("#labels").value = "";
  offerLabels(EXAMPLE_LABELS);
  changed();
  compare();
}

tabs($("#views"), chooseView);
$("#add").addEventListener("click", () => $("#files").click());
$("#clear").addEventListener("click", () => {
  images.length = 0;
  changed();
  $("#add").focus({ preventScroll: true }); // the button that was pressed is gone
});
$("#captions").addEventListener("input", () => {
  if ($("#labels").value === offered) $("#labels").value = ""; // of the captions before
  if (!$("#view-zero-shot").hidden) offerLabels(captions().join(", "));
  changed();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !searching()) compare();
});
$("#run").addEventListener("click", compare);
$("#examples").addEventListener("click", showExamples);
$("#as-probability").addEventListener("change", showScores);
dark.addEventListener("change", showScores);
$("#zero-shot-form").addEventListener("submit", (event) => {
  event.preventDefault();
  classify();
});
$("#none").addEventListener("change", () => {
  if (shownClasses?.[1].activation === "softmax") classify();
  else if (shownClasses) showClassified(...shownClasses);
});
redraws.push(changed, showScores, () => shownClasses && showClassified(...shownClasses));
