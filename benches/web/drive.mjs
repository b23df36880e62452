// drive.mjs SITE PACKAGES CHROMIUM PAGE MODEL FILE KEY.pub SECONDS: opens a page of the site in a fresh browser, which loads the model
// from a file of the site, and prints JSON.
//
// First over a slow network, with empty caches and then with full ones; then, in another fresh browser, over a fast one, where the model
// is also run again and again and the memory of the page's process is looked at. In no seconds there is only the slow network.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "../../xtask/web/serve.mjs";

const [site, packages, executablePath, side, model, file, key, seconds] = process.argv.slice(2);
if (seconds === undefined) throw new Error("usage: drive.mjs SITE PACKAGES CHROMIUM PAGE MODEL FILE KEY.pub SECONDS");
const { chromium } = createRequire(join(packages, "node_modules/"))("playwright-core");

/** 10 Mbit/s, in bytes a second, and the way to a server that is near. */
const SLOW = { offline: false, downloadThroughput: 10e6 / 8, uploadThroughput: 10e6 / 8, latency: 20 };
const ARGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** What was compiled is kept a while after the page has gone quiet. */
const SETTLE_MS = 3000;

const { inputs } = JSON.parse(readFileSync(join(site, "cases", model, "case.json"), "utf8"));
const bench = { model, file, inputs: inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape })), key: readFileSync(key, "utf8") };

// Names that never change their content: what is cached is not asked about again.
const server = await serve(site, { cacheControl: "max-age=31536000, immutable" });
try {
  const slow = await inFreshBrowser(async (open) => {
    const cold = await answered(await open(SLOW));
    const cached = await answered(await open(SLOW));
    return { cold, cached };
  });
  const visits = { slow_cold: slow.cold.first_answer_ms, slow_cached: slow.cached.first_answer_ms };
  const measured = Number(seconds) > 0 ? await overFastNetwork() : { visits: {} };
  const first_answer_ms = { ...visits, ...measured.visits };
  console.log(JSON.stringify({ ...measured.run, first_answer_ms, download_bytes: sizes(slow.cold) }));
} finally {
  await server.close();
}

async function overFastNetwork() {
  return inFreshBrowser(async (open, profile) => {
    const page = await open(null);
    const cold = await answered(page);
    const latency_ms = await page.evaluate((seconds) => globalThis.finish(seconds), Number(seconds));
    const renderer_peak_bytes = rendererPeakBytes(profile);
    const cached = await answered(await open(null));
    return {
      visits: { fast_cold: cold.first_answer_ms, fast_cached: cached.first_answer_ms },
      run: { latency_ms, renderer_peak_bytes },
    };
  });
}

/** A browser with a profile of its own, on the disk, where its caches are as they are for people. */
async function inFreshBrowser(work) {
  const profile = mkdtempSync(join(tmpdir(), "pannier-bench-"));
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: ARGS });
  await context.addInitScript((bench) => (globalThis.BENCH = bench), bench);
  let last = null;
  const open = async (network) => {
    if (last !== null) await last.waitForTimeout(SETTLE_MS);
    const page = await context.newPage();
    await last?.close();
    last = page;
    const devtools = await context.newCDPSession(page);
    if (network !== null) await devtools.send("Network.emulateNetworkConditions", network);
    await page.goto(`${server.url}web/${side}.html`);
    return page;
  };
  try {
    return await work(open, profile);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

async function answered(page) {
  await page.waitForFunction(() => globalThis.firstAnswer !== undefined);
  const found = await page.evaluate(() => globalThis.firstAnswer);
  if (found.error !== undefined) throw new Error(found.error);
  return found;
}

/** Bytes that were sent, of the model and of everything else. */
function sizes({ downloads }) {
  const sum = (entries) => entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const isModel = ({ name }) => /\.(onnx|pannier)$/.test(name);
  const unsent = downloads.filter(({ bytes, is_sent }) => bytes === 0 || !is_sent);
  if (unsent.length > 0) throw new Error(`not sent: ${unsent.map(({ name }) => name).join(", ")}`);
  return { model: sum(downloads.filter(isModel)), runtime: sum(downloads.filter((entry) => !isModel(entry))) };
}

/** The most memory that a process with a page had, of those of this browser. */
function rendererPeakBytes(profile) {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((id) => {
    try {
      const status = readFileSync(`/proc/${id}/status`, "utf8");
      const field = (name) => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0);
      return [{ id: Number(id), parent: field("PPid"), peakBytes: field("VmHWM") * 1024, command: readFileSync(`/proc/${id}/cmdline`, "utf8") }];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
  const browser = processes.find(({ command }) => command.includes(`--user-data-dir=${profile}`) && !command.includes("--type="));
  const isBelow = ({ parent }) => parent === browser?.id || processes.some((other) => other.id === parent && isBelow(other));
  const renderers = processes.filter((each) => each.command.includes("--type=renderer") && isBelow(each));
  if (renderers.length === 0) throw new Error("the browser has no process with a page");
  return Math.max(...renderers.map(({ peakBytes }) => peakBytes));
}
