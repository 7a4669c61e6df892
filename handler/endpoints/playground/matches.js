// Ranked matches: for each caption its images, the nearest first.

const SHOWN_MATCHES = 4;

function bar(share) {
  const filled = element("i");
  filled.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  return element("div", "bar", filled);
}

function showMatches({ shown, texts, answer, asProbability }) {
  const values = asProbability ? probabilities(answer) : answer.scores;
  const flat = values.flat();
  const [low, high] = asProbability ? [0, 1] : [Math.min(...flat), Math.max(...flat)];
  const cards = texts.map((text, column) => {
    const order = shown.map((_, row) => row).sort((one, other) => values[other][column] - values[one][column]);
    const rows = order.slice(0, SHOWN_MATCHES).map((row) => {
      const value = values[row][column];
      const share = high > low ? (value - low) / (high - low) : 1;
      return element("li", "", image(shown[row]), bar(share), element("span", "number", number(value, asProbability)));
    });
    return element("li", "card", element("h3", "", text), element("ol", "ranked", ...rows));
  });
  $("#matches").replaceChildren(...cards);
}
