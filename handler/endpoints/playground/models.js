// The models that the API has, and what is known of what they know.

let models = [];
// By a model's name, the first that fits. What fits none is not described: its makers know best.
const KNOWS = [
  [/^openclip-lambda\/shapes/, "knows.shapes"],
  [/biomed|medical|pubmed|conch|plip|quilt/i, "knows.medical"],
  [/i18n|xlm-roberta|xlm_roberta|nllb|mt5|multilingual|worldwide|siglip-?2(?!\d)|laion5b|jina-clip-v2/i, "knows.many"],
  [/laion|openai|datacomp|commonpool|common_pool|webli|siglip|dfn|metaclip|merged2b|yfcc|cc12m|conceptual|mobileclip|pe-core/i, "knows.english"],
];

function chosenModel() {
  return models.length > 1 ? { model: $("#model").value } : {};
}

function factsOf(model) {
  return models.find(({ id }) => id === model);
}

function chosenFacts() {
  return models.length === 1 ? models[0] : factsOf($("#model").value);
}

async function loadModels() {
  try {
    const { body } = await ask("v1/models");
    models = body.data;
    for (const { image_formats } of models) for (const kind of image_formats) taken.add(kind);
    $("#model").replaceChildren(...models.map(({ id }) => element("option", "", id)));
    $(".model").hidden = models.length < 2;
    showFacts();
    return true;
  } catch (error) {
    delete $("#facts").dataset.text; // no more "asking"
    $("#facts").textContent = "";
    showError(error);
    return false;
  }
}

function showFacts() {
  const model = chosenFacts();
  if (!model) return;
  const [height, width] = model.image_size;
  delete $("#facts").dataset.text;
  const facts = t("facts", { dimensions: model.embed_dim, height, width, tokens: model.context_length });
  $("#facts").textContent = models.length > 1 ? facts : `${model.id} · ${facts}`;
  const known = KNOWS.find(([name]) => name.test(model.id));
  $("#knows").textContent = known ? t(known[1]) : "";
}
redraws.push(showFacts);
