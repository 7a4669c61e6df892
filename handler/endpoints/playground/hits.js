// What was found, as a grid: each picture is a button that finds images like it. Arrows go through the grid.

// The last part of a key, with the slashes behind it, which a key of S3 may end in.
function nameOf(key) {
  return /[^/]*\/*$/.exec(key)[0];
}

// A local folder's images come from the server itself, a bucket's from S3 by the URL that the response has.
async function picture(hit) {
  if (hit.url) return hit.url;
  if (hit.bucket) return null;
  const url = apiUrl(`v1/search/image?${new URLSearchParams({ key: hit.key })}`);
  if (!apiKey()) return url;
  const response = await fetch(url, { headers: authorization() });
  return response.ok ? URL.createObjectURL(await response.blob()) : null;
}

function showHits(found, onLike) {
  const rows = found.map((hit) => {
    const name = nameOf(hit.key);
    const shown = element("img");
    shown.alt = "";
    shown.loading = "lazy";
    const hint = element("span", "hint", t("search.like.short"));
    const like = element("button", "like", shown, hint);
    like.type = "button";
    like.setAttribute("aria-label", t("search.like", { name }));
    like.addEventListener("click", () => onLike(hit, shown.src));
    const unseen = () => {
      shown.replaceWith(element("span", "unseen", t("search.unseen")));
      like.setAttribute("aria-label", `${t("search.unseen")} ${t("search.like", { name })}`);
    };
    shown.addEventListener("error", unseen);
    picture(hit).then((uri) => (uri ? (shown.src = uri) : unseen()), unseen);
    const title = element("span", "name", name);
    title.title = hit.bucket ? `s3://${hit.bucket}/${hit.key}` : hit.key;
    const caption = element("figcaption", "", title, element("span", "chip", number(hit.score, false)));
    return element("li", "", element("figure", "card", like, caption));
  });
  const focused = $("#hits").contains(document.activeElement);
  $("#hits").replaceChildren(...rows);
  if (focused) $("#hits .like")?.focus({ preventScroll: true });
}

$("#hits").addEventListener("keydown", (event) => {
  const buttons = [...document.querySelectorAll("#hits .like")];
  const place = buttons.indexOf(event.target);
  const columns = buttons.filter((one) => one.getBoundingClientRect().top === buttons[0].getBoundingClientRect().top).length;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  if (!step || place < 0) return;
  event.preventDefault();
  buttons[place + step]?.focus();
});
