// Images for people who have none at hand: drawn here, so nothing is fetched.

const SHAPES = [
  ["red circle.png", "#dc2626", "circle"],
  ["green triangle.png", "#16a34a", "triangle"],
  ["blue star.png", "#2563eb", "star"],
  ["yellow moon.png", "#facc15", "moon"],
  ["purple heart.png", "#7e22ce", "heart"],
  ["black cross.png", "#111111", "cross"],
];
const EXAMPLE_CAPTIONS = [
  "a photo of a red circle",
  "a photo of a green triangle",
  "一个蓝色的星星的照片",
  "a photo of a yellow moon",
  "一个紫色的爱心的照片",
  "a photo of a black cross",
];
const EXAMPLE_LABELS = "red circle, green triangle, blue star, yellow moon, purple heart, black cross";

const OUTLINES = {
  circle: (path) => path.arc(128, 128, 72, 0, 2 * Math.PI),
  triangle: (path) => corners(path, [[128, 52], [206, 192], [50, 192]]),
  star: (path) => corners(path, Array.from({ length: 10 }, (_, corner) => around(corner, 10, corner % 2 ? 34 : 84))),
  moon: (path) => {
    path.arc(118, 128, 78, 0.28 * Math.PI, 1.72 * Math.PI);
    path.arc(152, 128, 62, 1.62 * Math.PI, 0.38 * Math.PI, true);
  },
  heart: (path) => {
    path.moveTo(128, 200);
    path.bezierCurveTo(28, 130, 44, 58, 92, 58);
    path.bezierCurveTo(112, 58, 124, 72, 128, 88);
    path.bezierCurveTo(132, 72, 144, 58, 164, 58);
    path.bezierCurveTo(212, 58, 228, 130, 128, 200);
  },
  cross: (path) =>
    corners(path, [
      [104, 52], [152, 52], [152, 104], [204, 104], [204, 152], [152, 152],
      [152, 204], [104, 204], [104, 152], [52, 152], [52, 104], [104, 104],
    ]),
};

function around(corner, of, radius) {
  const angle = (corner / of) * 2 * Math.PI - Math.PI / 2;
  return [128 + radius * Math.cos(angle), 132 + radius * Math.sin(angle)];
}

function corners(path, points) {
  points.forEach(([x, y], index) => (index ? path.lineTo(x, y) : path.moveTo(x, y)));
}

function drawnShapes() {
  return SHAPES.map(([name, color, shape]) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 256;
    const context = canvas.getContext("2d");
    context.fillStyle = "#e7e5e4";
    context.fillRect(0, 0, 256, 256);
    context.fillStyle = color;
    context.beginPath();
    OUTLINES[shape](context);
    context.closePath();
    context.fill();
    return { name, uri: canvas.toDataURL("image/png"), file: null, turned: false };
  });
}

// What will stand here, as a shadow: a heatmap whose diagonal is right.
function ghost() {
  return Array.from({ length: 4 * 6 }, (_, index) => {
    const [row, column] = [Math.floor(index / 6), index % 6];
    const cell = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const places = { x: 65 + column * 79, y: row * 48, width: 72, height: 42, rx: 8 };
    for (const [name, value] of Object.entries(places)) cell.setAttribute(name, value);
    cell.setAttribute("fill-opacity", row === column ? 0.2 : 0.04 + ((row * 5 + column * 3) % 4) * 0.012);
    return cell;
  });
}
