// One request at a time counts: its response is shown, with what it took, what was cut and the code for it.

let waiting = 0; // number of the request whose response counts

// `sent` are the images that stand in the body. A response that a later request has overtaken is dropped. Returns whether
// this request's was shown.
async function request(button, path, body, sent, show) {
  const turn = (waiting += 1);
  showError(null);
  const focused = document.activeElement === button;
  button.disabled = true; // which takes the focus from it
  showStatus("asking");
  try {
    const { body: answer, timing } = await ask(path, body);
    if (turn !== waiting) return false;
    showCode({ path, body, files: sent.filter((item) => item.file) });
    showStatus(timing);
    show(answer, timing);
    return true;
  } catch (error) {
    if (turn !== waiting) return false;
    showStatus(null);
    showError(error);
    return false;
  } finally {
    button.disabled = false;
    if (focused && document.activeElement === document.body) button.focus({ preventScroll: true });
  }
}

function openKeyPanel(open) {
  const held = $("#key-panel").contains(document.activeElement);
  $("#key-panel").hidden = !open;
  $("#key-button").setAttribute("aria-expanded", String(open));
  if (open) $("#key").focus();
  else if (held) $("#key-button").focus();
}

$("#key-button").addEventListener("click", () => openKeyPanel($("#key-panel").hidden));
$("#key-panel").addEventListener("submit", (event) => {
  event.preventDefault();
  storage("sessionStorage").setItem(KEY, $("#key").value.trim());
  $("#key").value = "";
  openKeyPanel(false);
  showError(null);
  start();
});
$("#key-forget").addEventListener("click", () => {
  storage("sessionStorage").removeItem(KEY);
  openKeyPanel(false);
});
