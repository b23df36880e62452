// gpu.mjs SITE PACKAGES CHROMIUM KEY.pub ROUNDS FILE...: runs bundles of the site on the CPU and on the GPU of one page, in turn, and
// prints JSON. Where there is no GPU, on the browser's adapter that is a program on the CPU.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { serve } from "../../xtask/web/serve.mjs";

const [site, packages, executablePath, key, rounds, ...files] = process.argv.slice(2);
if (files.length === 0) throw new Error("usage: gpu.mjs SITE PACKAGES CHROMIUM KEY.pub ROUNDS FILE...");
const { chromium } = createRequire(join(packages, "node_modules/"))("playwright-core");

const ARGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** What Chromium wants before it gives Linux a GPU. */
const GPU = ["--enable-unsafe-webgpu", "--enable-features=Vulkan"];
const SOFTWARE = "--use-webgpu-adapter=swiftshader";

const server = await serve(site);
let browser = await launch(GPU);
try {
  let page = await open();
  if (!(await page.evaluate(hasGpu))) {
    await browser.close();
    browser = await launch([...GPU, SOFTWARE]);
    page = await open();
  }
  const bundles = {};
  for (const file of files) {
    process.stderr.write(`  ${file} in Chromium\n`);
    bundles[file] = await page.evaluate(compare, { file, key: readFileSync(key, "utf8"), rounds: Number(rounds) });
  }
  console.log(JSON.stringify({ browser: browser.version(), bundles }));
} finally {
  await browser.close();
  await server.close();
}

function launch(more) {
  return chromium.launch({ executablePath, args: [...ARGS, ...more] });
}

async function open() {
  const page = await browser.newPage();
  await page.goto(`${server.url}web/gpu.html`);
  return page;
}

async function hasGpu() {
  const adapter = await navigator.gpu?.requestAdapter();
  return Boolean(adapter) && !adapter.info.isFallbackAdapter && !/swiftshader|llvmpipe/i.test(adapter.info.architecture);
}

/** In the page. Each round runs each engine once; the least counts. */
async function compare({ file, key, rounds }) {
  const { Session, Tensor } = await import("../runtime/webgpu.js");
  const sides = [];
  for (const engine of ["cpu", "webgpu"]) {
    const start = performance.now();
    // What is compared is tested elsewhere; compiling is part of the first run here.
    const options = { trust: { keys: key }, engine, selfTest: false, allowSoftwareAdapter: true };
    const session = await Session.create(`../bundles/${file}`, options);
    const zeros = ({ name, type, shape }) => [name, new Tensor(type, new Array(shape.reduce((product, size) => product * size, 1)).fill(0), shape)];
    const run = () => session.run(Object.fromEntries(session.inputs.map(zeros)));
    await run();
    sides.push({ engine, session, run, first_ms: performance.now() - start, run_ms: Infinity });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const side of sides) {
      const start = performance.now();
      await side.run();
      side.run_ms = Math.min(side.run_ms, performance.now() - start);
    }
  }
  const { adapter } = await sides[1].session.report();
  for (const { session } of sides) session.dispose();
  return { adapter, ...Object.fromEntries(sides.map(({ engine, first_ms, run_ms }) => [engine, { first_ms, run_ms }])) };
}
