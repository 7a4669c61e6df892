// The heatmap: a row for each caption, a column for each image, the number in the cell as the API gave it.

// Most pairs do not fit: the lower half of each scale stays close to the ground, the middle is passed quickly.
const LIGHT = [[244, 245, 255], [222, 225, 254], [176, 181, 252], [79, 70, 229], [42, 38, 118]];
const DARK = [[30, 30, 44], [42, 41, 84], [63, 56, 150], [136, 146, 249], [214, 219, 255]];
const INKS = [[0, 0, 0], [255, 255, 255]]; // of these two one has a contrast of 4.5 and more on any color
const dark = matchMedia("(prefers-color-scheme: dark)");

function shade(share) {
  const stops = dark.matches ? DARK : LIGHT;
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const below = Math.min(Math.floor(place), stops.length - 2);
  return stops[below].map((value, channel) => Math.round(value + (stops[below + 1][channel] - value) * (place - below)));
}

// Relative luminance and contrast, as WCAG 2.2 defines them.
function luminance(color) {
  const [red, green, blue] = color.map((value) => (value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other) {
  const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

function paint(cell, share) {
  const ground = shade(share);
  const ink = contrast(INKS[0], ground) > contrast(INKS[1], ground) ? INKS[0] : INKS[1];
  cell.style.background = `rgb(${ground.join(" ")})`;
  cell.style.color = `rgb(${ink.join(" ")})`;
}

// The probabilities that the model was trained to give: over the captions of an image, or of each pair alone.
function probabilities({ scores, logit_scale: scale, logit_bias: bias, activation }) {
  return scores.map((row) => {
    const logits = row.map((cosine) => scale * cosine + (bias ?? 0));
    if (activation === "sigmoid") return logits.map((logit) => 1 / (1 + Math.exp(-logit)));
    const highest = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - highest));
    const sum = powers.reduce((total, power) => total + power, 0);
    return powers.map((power) => power / sum);
  });
}

function number(value, asProbability) {
  if (!asProbability) return value.toFixed(3);
  if (value === 0) return "0%";
  if (value < 0.0001) return "<0.01%";
  if (value >= 0.9995 && value < 1) return ">99.9%";
  return `${(100 * value).toFixed(value >= 0.0995 && value < 0.995 ? 0 : value >= 0.00995 ? 1 : 2)}%`;
}

function showHeatmap({ shown, texts, answer, asProbability }) {
  const values = asProbability ? probabilities(answer) : answer.scores;
  const flat = values.flat();
  const [low, high] = asProbability ? [0, 1] : [Math.min(...flat), Math.max(...flat)];
  const head = element("tr", "", element("td"));
  for (const item of shown) {
    const cell = element("th", "", image(item));
    cell.scope = "col";
    head.append(cell);
  }
  const rows = texts.map((text, column) => {
    const title = element("th", "", text);
    title.scope = "row";
    const highest = Math.max(...values.map((row) => row[column]));
    const best = asProbability && highest < UNLIKELY ? null : highest;
    const cells = values.map((row) => {
      const cell = element("td", row[column] === best ? "best" : "", number(row[column], asProbability));
      paint(cell, high > low ? (row[column] - low) / (high - low) : 1);
      cell.title = `${t("cosine")} ${answer.scores[values.indexOf(row)][column]}`;
      return cell;
    });
    return element("tr", "", title, ...cells);
  });
  $("#heatmap").replaceChildren(element("thead", "", head), element("tbody", "", ...rows));
  $("#legend").replaceChildren(...legend(low, high, asProbability, answer));
}

function legend(low, high, asProbability, answer) {
  const ramp = element("span", "ramp");
  for (let step = 0; step < 9; step += 1) {
    const block = element("i");
    paint(block, step / 8);
    ramp.append(block);
  }
  const what = t(asProbability ? `probability.${answer.activation}` : "cosine");
  const scale = element("span", "range", number(low, asProbability), ramp, number(high, asProbability));
  const best = element("span", "range", element("span", "ring"), t("best"));
  return [scale, element("span", "", what), best];
}
