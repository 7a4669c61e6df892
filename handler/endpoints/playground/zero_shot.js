// Zero-shot classification: each image with the probabilities of its labels, and perhaps of none of them.

const SHOWN_LABELS = 5;
const UNLIKELY = 0.0001; // below it a label is not a winner, only the least unlikely: a sigmoid's can all be so
let shownClasses = null; // what `showClassified` was called with
const activations = new Map(); // by a model's name: softmax or sigmoid, as its last response said

function missingForZeroShot({ input, labels, template }) {
  if (!input.length) return "missing.zero-shot";
  if (!labels.length) return "missing.labels";
  return template.every((one) => one.includes("{}")) && template.length ? "" : "missing.template";
}

// Of a model with softmax some label always wins. So that none may, one more label is sent: `none`.
function zeroShotRequest() {
  const split = (id, separator) => $(id).value.split(separator).map((part) => part.trim()).filter(Boolean);
  const labels = split("#labels", /[,，、\n]/);
  const none = offersNone() && activations.get(chosenFacts()?.id) === "softmax" ? t("none.sent") : null;
  const more = labels.length && none && !labels.includes(none) ? [none] : [];
  const body = {
    ...chosenModel(),
    input: images.map((item) => item.uri),
    labels: [...labels, ...more],
    template: split("#template", "|"),
    ...asShown(images),
  };
  return { body, none };
}

function offersNone() {
  return $("#none").checked;
}

function withNone(predictions, answer, none) {
  if (!offersNone()) return predictions;
  if (answer.activation === "softmax") {
    return predictions.map((one) => (one.label === none ? { ...one, label: t("none"), none: true } : one));
  }
  // Each label stands alone here: that none fits is that each does not.
  const score = predictions.reduce((product, one) => product * (1 - one.score), 1);
  return [...predictions, { label: t("none"), score, none: true }];
}

function showClassified(shown, answer, none) {
  shownClasses = [shown, answer, none];
  $("#none-about").textContent = offersNone() ? t(`none.${answer.activation}`) : "";
  const figures = answer.data.map(({ predictions }, index) => {
    const all = withNone(predictions, answer, none).sort((one, other) => other.score - one.score);
    const best = all.filter((one, place) => place < SHOWN_LABELS || one.none);
    const bars = best.map(({ label, score, none }) => {
      const name = element("span", none ? "name none" : "name", label);
      return element("div", "shot", name, element("span", "number", number(score, true)), bar(score));
    });
    const kind = best.length && best[0].score < UNLIKELY ? "card unlikely" : "card";
    return element("figure", kind, image(shown[index]), element("figcaption", "", ...bars));
  });
  $("#classified").replaceChildren(...figures);
}
