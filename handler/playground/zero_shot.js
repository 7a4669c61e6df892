// Zero-shot classification: each picture with the probabilities of its labels.

const SHOWN_LABELS = 5;

function zeroShotRequest() {
  const split = (id, separator) =>
    document.querySelector(id).value.split(separator).map((part) => part.trim()).filter(Boolean);
  return {
    ...chosenModel(),
    input: pictures.map((picture) => picture.uri),
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
    return element("figure", "card", image(shown[index]), element("figcaption", "", ...bars));
  });
  document.querySelector("#classified").replaceChildren(...figures);
}
