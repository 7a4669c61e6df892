// The page begins, and takes images however they come: dropped, pasted or chosen, for the part that is open.

async function take(files) {
  if (!files.length) return;
  const forSearch = searching(); // reading them takes a while, in which the other part may be opened
  const problems = forSearch ? await takeForSearch(files) : await addFiles(images, files, showCounts);
  if (!forSearch) changed();
  if (problems.length) showError(new ApiProblem(0, "", () => problems.map((say) => say()).join(" ")));
  else if (!forSearch) showError(null);
}

let latest = 0; // number of the image that was given last: a small one is read before a large one that came earlier

async function takeForSearch(files) {
  const turn = (latest += 1);
  const taken = [];
  const problems = await addFiles(taken, await Promise.all(files.slice(0, 1).map(asIndexed)));
  if (turn !== latest) return [];
  if (taken.length) await searchBy({ ...taken[0], query: { image: taken[0].uri } });
  return problems;
}

const carried = (event) => [...(event.dataTransfer ?? event.clipboardData).files];
// Cells and paragraphs of an office program come as text, as HTML and as an image of them: into a field goes the text.
const isText = ({ target, clipboardData: { types } }) =>
  target.matches?.("input, textarea") && types.includes("text/plain") && types.includes("text/html");
const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const over = name === "dragenter" || name === "dragover";
    $(searching() ? "#search-form" : "#drop").classList.toggle("over", over);
    if (name === "drop") take(carried(event));
  });
}
document.addEventListener("paste", (event) => {
  const files = carried(event);
  if (!files.length || isText(event)) return;
  event.preventDefault(); // beside a copied file there is its name, as text
  take(files);
});
for (const id of ["#files", "#search-files"]) {
  $(id).addEventListener("change", async ({ target }) => {
    await take([...target.files]);
    target.value = "";
  });
}
$("#model").addEventListener("change", () => {
  showFacts();
  changed();
});
$("#language").addEventListener("click", () => {
  const before = t("template.example");
  speak(language === "zh" ? "en" : "zh");
  if ($("#template").value === before) $("#template").value = t("template.example");
});

async function start() {
  if (await loadModels()) await loadIndex();
}

// Behind a base path the page is at /clip as at /clip/. Only from there are its addresses below /clip.
if (!location.pathname.endsWith("/")) history.replaceState(null, "", `${location.pathname}/${location.search}${location.hash}`);
tell();
$("#template").value = t("template.example");
$("#ghost").append(...ghost());
if (/Mac|iPhone|iPad/.test(navigator.platform)) $("#shortcut").textContent = "⌘ ↵";
start();
