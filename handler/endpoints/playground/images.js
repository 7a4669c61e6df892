// The images: taken in, kept as they are where they are small, scaled down where Lambda's 6 MB would not take them.

const LARGE_BYTES = 700_000; // of one file; models look at a few hundred pixels a side
const LARGE_PIXELS = 40_000_000; // what the API decodes by default; a drawing of so many may have few bytes
const LARGE_SIDE = 1024;
const MAX_IMAGES = 24; // a page of them; the API takes more
const MOST_BYTES = 3_000_000; // of one file that this browser cannot read, and so cannot scale down

const MOST_TOGETHER = 5_600_000; // characters of all images of a request: 6 MB of a body are Lambda's limit
const SMALLER_SIDES = [768, 512, 384]; // tried in turn for what is too large together

const taken = new Set(["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"]); // and what the API says

const images = []; // {name, uri, file, turned}: what is sent and shown, what it was as a file, and whether that may be turned

// Returns what was wrong with some of them, as functions that say it. Large ones take a while: each is told as it comes.
async function addFiles(items, files, onEach = () => {}) {
  const problems = [];
  for (const file of files) {
    if (items.length >= MAX_IMAGES) {
      problems.push(() => t("most", { most: MAX_IMAGES }));
      break;
    }
    try {
      const made = await toImage(file);
      if (items.length >= MAX_IMAGES) { // others came meanwhile
        problems.push(() => t("most", { most: MAX_IMAGES }));
        break;
      }
      items.push(made);
      onEach();
    } catch {
      problems.push(unreadable(file));
    }
  }
  await fitTogether(items);
  return problems;
}

// Images that each are small enough may be too many: the largest of them are scaled down further.
async function fitTogether(items) {
  for (const side of SMALLER_SIDES) {
    if (items.reduce((total, { uri }) => total + uri.length, 0) <= MOST_TOGETHER) return;
    for (const item of items.filter(({ uri }) => uri.length > MOST_TOGETHER / items.length)) {
      const shown = image(item);
      const read = await shown.decode().then(() => true, () => false); // HEIC, of which the browser knows nothing
      if (read) Object.assign(item, { uri: scaledDown(shown, side, 0.85), file: null, turned: false });
    }
  }
}

// A browser shows a file upright, as it says itself: so the model sees it, too. What was scaled down here is upright.
function asShown(items) {
  return items.some(({ turned }) => turned) ? { exif_orientation: true } : {};
}

// Whether a file may say how it is turned: by EXIF, which PNG calls eXIf, or as AVIF does.
async function mayBeTurned(file) {
  return file.type === "image/avif" || /exif/i.test(await file.text());
}

// A browser turns what it scales down, as EXIF says. Where the index has photos as they are stored, so is one that is
// searched by: it loses the mark of its EXIF segment.
async function asIndexed(file) {
  if (about.settings.exif_orientation || file.type !== "image/jpeg" || file.size <= LARGE_BYTES) return file;
  const data = await file.arrayBuffer().catch(() => null); // it was removed since: told where it is read next
  if (!data) return file;
  const bytes = new Uint8Array(data);
  const SEGMENT = 0xff, APP1 = 0xe1, PIXELS = 0xda; // ITU T.81, B.1.1.3
  for (let at = 2; bytes[at] === SEGMENT && bytes[at + 1] !== PIXELS; at += 2 + bytes[at + 2] * 256 + bytes[at + 3]) {
    if (bytes[at + 1] === APP1 && bytes[at + 4] === "E".charCodeAt()) bytes[at + 4] = 0;
  }
  return new File([bytes], file.name, { type: file.type });
}

const isHeic = (file) => /hei[cf]/i.test(file.type) || /\.(hei[cf]|hif)$/i.test(file.name);

function unreadable(file) {
  return () => t(isHeic(file) ? "heic" : "unreadable", { name: file.name || t("file") });
}

async function toImage(file) {
  if (isHeic(file) && taken.has("image/heic") && file.size <= MOST_BYTES) return asItIs(file); // few browsers read it
  const bitmap = await createImageBitmap(file);
  const large = file.size > LARGE_BYTES || bitmap.width * bitmap.height > LARGE_PIXELS;
  const small = !large && taken.has(file.type);
  const uri = small ? await asDataUri(file) : scaledDown(bitmap);
  bitmap.close();
  const turned = small && (await mayBeTurned(file));
  return { name: file.name || "pasted.png", uri, file: small && file.name ? file.name : null, turned };
}

async function asItIs(file) {
  const bytes = new Blob([file], { type: "image/heic" });
  return { name: file.name || "pasted.heic", uri: await asDataUri(bytes), file: file.name || null, turned: false };
}

function asDataUri(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

// JPEG has no transparency, and a canvas fills it with black: what stands behind an image is for the API to decide.
function scaledDown(bitmap, side = LARGE_SIDE, quality = 0.92) {
  const factor = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * factor));
  canvas.height = Math.max(1, Math.round(bitmap.height * factor));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const opaque = isOpaque(context.getImageData(0, 0, canvas.width, canvas.height));
  return canvas.toDataURL(opaque ? "image/jpeg" : "image/webp", quality);
}

function isOpaque({ data }) {
  for (let at = 3; at < data.length; at += 4) if (data[at] < 255) return false;
  return true;
}

function image(item) {
  const element = document.createElement("img");
  element.src = item.uri;
  element.alt = item.name;
  element.title = item.name;
  return element;
}

function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

// `items` are shown in `list`, each with a button that takes it out of them. The focus stays at its place, also where
// the item that had it is gone, and where a response shows them anew.
function showThumbs(list, items, onChange) {
  const rows = items.map((item, index) => {
    const remove = element("button", "", "×");
    remove.type = "button";
    remove.setAttribute("aria-label", t("images.remove", { name: item.name }));
    remove.addEventListener("click", () => {
      items.splice(index, 1);
      onChange();
    });
    return element("li", "", image(item), remove);
  });
  const place = [...list.querySelectorAll("button")].findIndex((one) => one.matches(":focus-visible"));
  list.replaceChildren(...rows);
  if (place < 0) return;
  const left = [...list.querySelectorAll("button")];
  (left[place] ?? left.at(-1) ?? list.parentElement.querySelector("button, input"))?.focus({ preventScroll: true });
}
