// Zero-shot classification: each image with the probabilities of its labels, and perhaps of none of them.

const SHOWN_LABELS = 5;
const UNLIKELY = 0.0001; // below it a label is not a winner, only the least unlikely: a sigmoid's can all be so
let shownClasses = null; // what `showClassified` was called with

function missingForZeroShot({ input, labels, template }) {
  if (!input.length) return t("missing.zero-shot");
  if (!labels.length) return t("missing.labels");
  return template.every((one) => one.includes("{}")) && template.length ? "" : t("missing.template");
}

// Of a model with softmax some label always wins. So that none may, one more label is sent.
function zeroShotRequest() {
  const split = (id, separator) => $(id).value.split(separator).map((part) => part.trim()).filter(Boolean);
  const labels = split("#labels", /[,，、\n]/);
  const more = labels.length && offersNone() && last?.answer.activation === "softmax" ? [t("none.sent")] : [];
  return {
    ...chosenModel(),
    input: images.map((item) => item.uri),
    labels: [...labels, ...more.filter((label) => !labels.includes(label))],
    template: split("#template", "|"),
  };
}

function offersNone() {
  return $("#none").checked;
}

function withNone(predictions, answer) {
  if (!offersNone()) return predictions;
  if (answer.activation === "softmax") {
    return predictions.map((one) => (one.label === t("none.sent") ? { ...one, label: t("none"), none: true } : one));
  }
  // Each label stands alone here: that none fits is that each does not.
  const score = predictions.reduce((product, one) => product * (1 - one.score), 1);
  return [...predictions, { label: t("none"), score, none: true }];
}

function showClassified(shown, answer) {
  shownClasses = [shown, answer];
  $("#none-about").textContent = offersNone() ? t(`none.${answer.activation}`) : "";
  const figures = answer.data.map(({ predictions }, index) => {
    const all = withNone(predictions, answer).sort((one, other) => other.score - one.score);
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
