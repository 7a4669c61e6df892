// The page begins, and takes images however they come: dropped, pasted or chosen, for the part that is open.

async function take(files) {
  if (!files.length) return;
  const problems = searching() ? await takeForSearch(files) : await addFiles(images, files);
  if (!searching()) changed();
  if (problems.length) showError(new ApiProblem(0, "", problems.join(" ")));
  else if (!searching()) showError(null);
}

async function takeForSearch(files) {
  const taken = [];
  const problems = await addFiles(taken, files.slice(0, 1));
  if (taken.length) await searchBy({ ...taken[0], query: { image: taken[0].uri } });
  return problems;
}

const carried = (event) => [...(event.dataTransfer ?? event.clipboardData).files];
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
  if (carried(event).length) take(carried(event));
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

tell();
$("#template").value = t("template.example");
$("#ghost").append(...ghost());
if (/Mac|iPhone|iPad/.test(navigator.platform)) $("#shortcut").textContent = "⌘ ↵";
start();
