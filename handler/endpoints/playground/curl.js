// The request that was just made, as a command: files by their name, drawn and scaled images in full.

function asCurl(path, body) {
  let json = JSON.stringify(body).replace(/[\\$`]/g, "\\$&"); // what a shell would read in a here-document
  for (const item of images) {
    if (item.file) json = json.replace(item.uri, fromFile(item.file));
  }
  const key = sessionStorage.getItem(KEY) ? ` \\\n  -H "authorization: Bearer $OPENCLIP_API_KEY"` : "";
  return `curl -sS '${apiUrl(path)}'${key} \\\n  -H 'content-type: application/json' -d @- <<JSON\n${json}\nJSON\n`;
}

function fromFile(name) {
  return () => `$(base64 < '${name.replaceAll("'", `'\\''`)}' | tr -d '\\n')`;
}
