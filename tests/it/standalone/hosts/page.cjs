// page.cjs CHROMIUM SCRIPT: serves this folder, opens a page that imports the script, runs the cases in it, writes answers.json.
const { createServer } = require("node:http");
const { readFile, writeFile } = require("node:fs/promises");
const { basename, extname, join } = require("node:path");
const { chromium } = require("playwright-core");

const [, , executablePath, script] = process.argv;
const types = { ".html": "text/html", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
const page = `<!doctype html><title>A model</title><script type="module" src="./${script}"></script>`;

const server = createServer(async (request, response) => {
  try {
    const name = basename(request.url);
    const body = name === "index.html" ? page : await readFile(join(__dirname, name));
    response.writeHead(200, { "content-type": types[extname(name)] ?? "application/octet-stream" }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});

async function main() {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const args = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const browser = await chromium.launch({ executablePath, args });
  try {
    const tab = await browser.newPage();
    const problems = [];
    tab.on("pageerror", (error) => problems.push(String(error)));
    // What the script prints as it stands: the answer for zeros.
    const printed = tab.waitForEvent("console", { timeout: 60_000 });
    await tab.goto(`http://127.0.0.1:${server.address().port}/index.html`);
    await printed.catch((error) => { throw new Error([...problems, error].join("\n")); });
    const answers = await tab.evaluate(async (script) => {
      const { answer } = await import("./cases.mjs");
      const { run } = await import(`./${script}`);
      return answer(run, await (await fetch("./cases.json")).json());
    }, script);
    await writeFile(join(__dirname, "answers.json"), JSON.stringify(answers));
    if (problems.length > 0) throw new Error(problems.join("\n"));
  } finally {
    await browser.close();
    server.close();
  }
}

main().catch((error) => { console.error(error); process.exit(1); });
