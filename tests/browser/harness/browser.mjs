// Chromium, and what the tests do in its pages.
import { CHROMIUM, KEYS, required } from "./setting.mjs";

const { chromium } = required("playwright-core");
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--js-flags=--expose-gc",
  // `performance.memory` in bytes, not in steps.
  "--enable-precise-memory-info",
];

/** What gives a browser a GPU where there is none: a program on the CPU. Without it there is no adapter. */
export const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];

export async function launch(more = []) {
  return chromium.launch({ executablePath: CHROMIUM, args: [...ARGUMENTS, ...more] });
}

/** An empty page of a server, in a context of its own. Whatever goes wrong in it unnoticed is in `problems`. */
export async function open(browser, server) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) page.problems.push(message.text());
  });
  await page.goto(`${server.origin}/`);
  return page;
}

/** The two classes of sessions, and the modules that export them. */
export const CLASSES = { Session: "/npm/index.js", WorkerSession: "/npm/worker.js" };

/** Those on the GPU. */
export const WEBGPU_CLASSES = { Session: "/npm/webgpu.js", WorkerSession: "/npm/webgpu.js" };

/**
 * Does `work(api, argument)` in a page: `api` has everything that the package exports, `Session` being the class named, the
 * functions of `inputs.mjs`, and the keys. `work` travels as text, so it sees nothing else.
 */
export function call(page, name, work, argument = null, classes = CLASSES) {
  return page.evaluate(`(async () => {
    const runtime = await import(${JSON.stringify(classes[name])});
    const inputs = await import("/harness/inputs.mjs");
    const api = { ...runtime, ...inputs, Session: runtime.${name}, keys: ${JSON.stringify(KEYS)} };
    return (${work})(api, ${JSON.stringify(argument)});
  })()`);
}
