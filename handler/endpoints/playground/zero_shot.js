// Zero-shot classification: each image with the probabilities of its labels.

const SHOWN_LABELS = 5;
const UNLIKELY = 0.0001; // below it a label is not a winner, only the least unlikely: a sigmoid's can all be so

function missingForZeroShot({ input, labels, template }) {
  if (!input.length) return "Add an image first: zero-shot says which label fits it.";
  if (!labels.length) return "Write labels first, separated by commas.";
  return template.every((one) => one.includes("{}")) && template.length ? "" : "Write {} into each template, for the label.";
}

function zeroShotRequest() {
  const split = (id, separator) =>
    document.querySelector(id).value.split(separator).map((part) => part.trim()).filter(Boolean);
  return {
    ...chosenModel(),
    input: images.map((item) => item.uri),
    labels: split("#labels", /[,，、\n]/),
    template: split("#template", "|"),
  };
}

function showClassified(shown, answer) {
  const figures = answer.data.map(({ predictions }, index) => {
    const best = [...predictions].sort((one, other) => other.score - one.score).slice(0, SHOWN_LABELS);
    const bars = best.map(({ label, score }) =>
      element("div", "shot", element("span", "name", label), element("span", "number", number(score, true)), bar(score)),
    );
    const kind = best.length && best[0].score < UNLIKELY ? "card unlikely" : "card";
    return element("figure", kind, image(shown[index]), element("figcaption", "", ...bars));
  });
  document.querySelector("#classified").replaceChildren(...figures);
}
