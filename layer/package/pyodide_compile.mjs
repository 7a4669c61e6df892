// Runs bytecode.py in Pyodide, on directories of this machine, and prints a dot for each module.
// node pyodide_compile.mjs <Pyodide> <bytecode.py> <magic number, hex> <tree> <where it will stand> [<tree> ...]
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [home, compiler, magic, ...trees] = process.argv.slice(2);

function count(line) {
  if (line.startsWith("Compiling ")) process.stdout.write(".");
}

async function main() {
  const { loadPyodide } = await import(pathToFileURL(`${home}/pyodide.mjs`).href);
  const python = await loadPyodide({ indexURL: home, stdout: count });
  const found = python.runPython("import importlib.util; importlib.util.MAGIC_NUMBER.hex()");
  if (found !== magic) throw new Error(`its bytecode begins with ${found} instead of ${magic}`);
  python.FS.writeFile("/home/pyodide/bytecode.py", readFileSync(compiler));
  const { compile_tree: compileTree } = python.pyimport("bytecode");
  const { Path } = python.pyimport("pathlib");
  for (let index = 0; index < trees.length; index += 2) {
    const mounted = `/tree${index}`;
    python.FS.mkdir(mounted);
    python.FS.mount(python.FS.filesystems.NODEFS, { root: trees[index] }, mounted);
    compileTree(Path(mounted), trees[index + 1], false);
    python.FS.unmount(mounted);
  }
}

try {
  await main();
} catch (error) {
  // Without this, Node.js prints the line of the source as well, which is a megabyte long.
  console.error(error?.message ?? error);
  process.exitCode = 1;
}
