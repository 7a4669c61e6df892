// Searching the index that stands beside the API: by words, images and hits, together, and minus words.

const PAGE = 24; // hits at first, and how many more each time
const MOST = 192; // or what the index gives at once
const MINUS = -0.5; // of what is not wanted: enough to turn it away, and not all that is like it too
const parts = []; // images and hits that are searched by: {name, uri, file, query}
let about = null; // what the index says of itself
let hits = PAGE;
let lastFound = null; // {answer, body}

function mostHits() {
  return Math.min(MOST, about.max_k);
}

function searching() {
  return !$("#search").hidden;
}

function searchQuery() {
  const text = $("#search-text").value.trim();
  const minus = $("#search-minus").value.trim();
  return [
    ...(text ? [{ text }] : []),
    ...parts.map((part) => part.query),
    ...(minus ? [{ text: minus, weight: MINUS }] : []),
  ];
}

async function find() {
  const query = searchQuery();
  if (!query.some(({ weight }) => weight === undefined)) {
    showError(new ApiProblem(0, "", () => t("search.missing")));
    return;
  }
  const prefix = $("#search-prefix").value;
  const filter = prefix ? { filter: { prefix } } : {};
  const urls = about.urls ? { with_urls: true } : {};
  const body = { model: about.model, query, k: hits, ...filter, with_vectors: true, ...urls };
  const sent = [...parts];
  await request($("#search-run"), "v1/search", body, sent, (answer, { full, manifest }) => {
    if (sent.some((part) => part.manifest && part.manifest !== manifest)) return foundBefore();
    lastFound = { answer, body, manifest };
    $("#found").hidden = false;
    showFound();
    showNotice(full.length ? () => t("cut.query", { tokens: factsOf(about.model)?.context_length }) : null);
    if (hits === PAGE) bringIntoView($("#found"));
  });
}

// A hit's vector is of the model that found it. After a deployment of another one the API takes it, and compares nothing.
async function foundBefore() {
  lastFound = null;
  parts.length = 0;
  showParts();
  $("#found").hidden = true;
  $("#hits").replaceChildren();
  await start(); // which opens the tab anew, without errors
  showError(new ApiProblem(0, "", () => t("search.changed")));
}

function findAnew() {
  hits = PAGE;
  return find();
}

function searchBy(part) {
  parts.splice(0, parts.length, part);
  showParts();
  return findAnew();
}

function showParts() {
  showThumbs($("#search-thumbs"), parts, () => {
    showParts();
    if (searchQuery().some(({ weight }) => weight === undefined)) findAnew();
  });
}

function showFound() {
  if (!lastFound) return;
  const { answer, body, manifest } = lastFound;
  const rows = grouped(about.rows);
  const none = body.filter ? t("search.none", { prefix: body.filter.prefix }) : t("search.empty");
  $("#found-about").textContent = answer.data.length ? t("search.found", { shown: answer.data.length, rows }) : none;
  const held = document.activeElement === $("#search-more");
  $("#search-more").hidden = answer.data.length < body.k || body.k >= mostHits();
  showHits(answer.data, (hit, uri) => {
    $("#search-text").value = $("#search-minus").value = "";
    scrollTo({ top: 0 });
    searchBy({ name: nameOf(hit.key), uri, file: null, query: { vector: hit.vector }, manifest });
  });
  if (held && $("#search-more").hidden) [...document.querySelectorAll("#hits .like")].at(-1)?.focus();
}

// The tab is there where an index is; the page says where to ask, and without that nothing is asked.
async function loadIndex() {
  if (!("search" in document.body.dataset)) return;
  try {
    about = (await ask("v1/index")).body;
  } catch (error) {
    showError(error);
    return;
  }
  if (!models.some(({ id }) => id === about.model)) return; // left of another bundle
  $("#modes").hidden = false;
  for (const [panel, tab] of [["#compare", "mode-compare"], ["#search", "mode-search"]]) {
    $(panel).setAttribute("role", "tabpanel");
    $(panel).setAttribute("aria-labelledby", tab);
  }
  $("#search-prefix").parentElement.hidden = !about.filters.includes("prefix");
  showRows();
  showTries();
  if (location.hash === "#search") chooseMode($("#mode-search"));
}

// Queries for those who have not seen the images: of the demo's model alone it is known what they may be.
function showTries() {
  $("#search-try").hidden = !about.model.startsWith("openclip-lambda/shapes");
  if ($("#search-try button")) return;
  for (const words of ["a red circle", "一个蓝色的星星", "a yellow moon", "一个紫色的爱心和一个白色的正方形"]) {
    const button = element("button", "plain", words);
    button.type = "button";
    button.addEventListener("click", () => {
      parts.length = 0;
      showParts();
      $("#search-text").value = words;
      findAnew();
    });
    $("#search-try").append(button);
  }
}

function showRows() {
  if (about) $("#search-rows").textContent = t("search.rows", { rows: grouped(about.rows) });
}

const chooseMode = tabs($("#modes"), (tab) => {
  showPanel(tab);
  showError(null);
  showNotice(null);
  const search = tab.id === "mode-search";
  const actions = $(search ? "#search-actions" : "#compare-actions");
  actions.append($("#doing"));
  actions.after($("#said"));
  $("#lead").dataset.text = search ? "lead.search" : "lead";
  tell();
  $(".skip").href = search ? "#search-text" : "#captions";
  history.replaceState(null, "", search ? "#search" : location.pathname + location.search);
});

$("#search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  findAnew();
});
$("#search-add").addEventListener("click", () => $("#search-files").click());
$("#search-more").addEventListener("click", () => {
  hits = Math.min(lastFound.body.k + PAGE, mostHits());
  find();
});
redraws.push(showRows, showParts, showFound);
