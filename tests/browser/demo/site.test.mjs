// The demo in a real browser, with the real models. `cargo xtask test` runs it, and says in variables where everything is:
// PANNIER_DEMO_SITE (the assembled site), PANNIER_NODE_PACKAGES, PANNIER_CHROMIUM. Pictures of the page go to PANNIER_SCREENSHOTS
// if that is set.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { serve } from "../../../xtask/web/serve.mjs";

const { PANNIER_DEMO_SITE: site, PANNIER_NODE_PACKAGES: packages, PANNIER_CHROMIUM: executablePath, PANNIER_SCREENSHOTS: screenshots } = process.env;
const { chromium } = createRequire(join(packages, "node_modules/"))("playwright-core");
const samples = join(site, "samples");

const ARGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // The microphone hears the sample.
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  `--use-file-for-fake-audio-capture=${join(samples, "speech.wav")}`,
];
/** What gives a browser a GPU where there is none: a program on the CPU, which the page takes if its address says so. */
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];
const DESKTOP = { viewport: { width: 1200, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
/** Loading and the first run of a model, on a machine that is busy with other things. */
const LONG = { timeout: 120_000 };

let browser, server;
before(async () => {
  server = await serve(site);
  browser = await chromium.launch({ executablePath, args: ARGS });
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** Opens the page at a tab, hands it to `work`, and looks at what went wrong in it meanwhile. */
async function visit(tab, work, { isQuiet = true, where = browser, query = "", ...options } = DESKTOP) {
  const context = await where.newContext(options);
  const problems = [];
  context.on("weberror", (event) => problems.push(String(event.error())));
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(message.text());
  });
  context.on("requestfailed", (request) => problems.push(`${request.url()}: ${request.failure()?.errorText}`));
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(LONG.timeout);
    // Models have no business in the page's own thread.
    await page.addInitScript(() => {
      globalThis.instantiated = 0;
      const { instantiate } = WebAssembly;
      WebAssembly.instantiate = (...args) => {
        globalThis.instantiated += 1;
        return instantiate(...args);
      };
    });
    await page.goto(`${server.url}${query}#${tab}`);
    await work(page, context);
    assert.equal(await page.evaluate(() => globalThis.instantiated), 0, "a model ran in the page's own thread");
    if (isQuiet) assert.deepEqual(problems, []);
  } finally {
    await context.close();
  }
}

const press = (page, name) => page.getByRole("button", { name, exact: true }).filter({ visible: true }).click();
const card = (page, model) => page.locator(".model", { hasText: model });

async function nameFile(page, choose) {
  const shown = page.locator("#file .answer");
  const count = await shown.count();
  await choose();
  await page.waitForFunction((count) => document.querySelectorAll("#file .answer").length > count, count);
  return shown.first();
}

async function readPicture(page, name) {
  // What is said of the picture before.
  await page.locator("[data-summary]").evaluate((summary) => (summary.textContent = ""));
  await press(page, name);
  await page.locator("[data-summary]", { hasText: "read in" }).waitFor();
  return page.locator("[data-line]").allInnerTexts();
}

test("files are named by their bytes", async () => {
  await visit("file", async (page) => {
    const cases = { "bundle.rs": "rust", "index.html": "html", "icon.svg": "svg", "speech.wav": "wav", "till.png": "png" };
    for (const [name, label] of Object.entries(cases)) {
      const answer = await nameFile(page, () => press(page, name));
      assert.equal(await answer.getAttribute("data-label"), label);
    }
    // The name says another thing.
    const renamed = { name: "holiday.jpg", mimeType: "image/jpeg", buffer: await readFile(join(samples, "bundle.rs")) };
    const answer = await nameFile(page, () => page.locator("#file [data-drop] input").setInputFiles(renamed));
    assert.equal(await answer.getAttribute("data-label"), "rust");
    assert.match(await answer.locator("header p").innerText(), /^holiday\.jpg, [\d.]+\skB, [\d.]+\sm?s$/);
    const scores = await answer.locator(".number").allInnerTexts();
    assert.equal(scores.length, 5);
    assert.ok(Number.parseFloat(scores[0]) > 90, `${scores}`);
  });
});

test("a dropped file is named, and its model says where it is from", async () => {
  await visit("file", async (page) => {
    assert.match(await card(page, "magika").innerText(), /loads when it is needed/);
    await card(page, "magika").locator(".state").evaluate((state) => {
      globalThis.states = [];
      new MutationObserver(() => globalThis.states.push(state.textContent)).observe(state, { childList: true });
    });
    const answer = await nameFile(page, () =>
      page.locator("#file [data-drop]").evaluate((zone) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["[package]\nname = \"a\"\nversion = \"0.1.0\"\n\n[dependencies]\nserde = \"1\"\n"], "a"));
        zone.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
      }),
    );
    assert.equal(await answer.getAttribute("data-label"), "toml");
    await card(page, "magika").locator("dd", { hasText: "ms" }).first().waitFor();
    const states = (await page.evaluate(() => globalThis.states)).join("\n");
    for (const state of [/asking for it/, /MB of 2\.6\sMB, signature checked, every part verified/, /preparing/, /testing itself/]) assert.match(states, state);
    const facts = await card(page, "magika").innerText();
    for (const fact of [/version 1\.0\.3, ready/, /this demo \(publisher\), [0-9a-f]{12}…/, /\nEngine\n+[\w-]+, (relaxed-simd|simd128)\n/, /over the network in/, /known answer/, /\sMB, of which weights/]) {
      assert.match(facts, fact);
    }
  });
});

test("the GPU is asked when it is chosen, and the card tells why the CPU answers", async () => {
  await visit("file", async (page) => {
    const onCpu = await nameFile(page, () => press(page, "bundle.rs"));
    assert.equal(await onCpu.getAttribute("data-label"), "rust");
    assert.doesNotMatch(await card(page, "magika").innerText(), /Not the GPU/);
    await page.getByRole("radio", { name: "GPU, if it can" }).check({ force: true });
    await card(page, "magika").getByText("loads when it is needed").waitFor();
    const instead = await nameFile(page, () => press(page, "index.html"));
    assert.equal(await instead.getAttribute("data-label"), "html");
    const facts = card(page, "magika").locator("dl");
    await facts.waitFor();
    // This browser has no GPU.
    assert.match(await facts.innerText(), /Engine\s+executor, [^]*Not the GPU\s+WebGPU has no adapter here/);
  });
});

test("the GPU answers, also without a network, once its module was loaded", async () => {
  const where = await chromium.launch({ executablePath, args: [...ARGS, ...WEBGPU] });
  const onGpu = async (page, sample, label) => {
    await page.getByRole("radio", { name: "GPU, if it can" }).check({ force: true });
    const answer = await nameFile(page, () => press(page, sample));
    assert.equal(await answer.getAttribute("data-label"), label);
    assert.match(await card(page, "magika").locator("dl").innerText(), /Engine\s+webgpu, google swiftshader/);
    if (screenshots) await page.screenshot({ path: join(screenshots, `gpu-${label}.png`), fullPage: true });
  };
  try {
    await visit("file", async (page, context) => {
      await page.evaluate(() => navigator.serviceWorker.ready);
      await page.reload();
      await onGpu(page, "bundle.rs", "rust");
      await page.waitForFunction(async () => {
        const kept = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
        return kept.flat().some(({ url }) => /pannier-webgpu-[^/]*\.wasm$/.test(url));
      });
      await server.close();
      try {
        await context.setOffline(true);
        await page.reload();
        await onGpu(page, "icon.svg", "svg");
      } finally {
        server = await serve(site);
      }
    }, { ...DESKTOP, where, query: "?software-gpu" });
  } finally {
    await where.close();
  }
});

test("text in pictures is found, turned upright and read", async () => {
  await visit("text", async (page) => {
    const lines = ["WICKERSHOP", "Basket Lane 12", "3 panniers", "81.00", "1 saddle strap", "14.50", "2 kg apples", "5.20", "Total", "100.70", "Thank you, come again"];
    assert.deepEqual(await readPicture(page, "till.png"), lines);
    assert.equal(await page.locator(".picture polygon.read").count(), lines.length);
    assert.deepEqual(await readPicture(page, "signs.png"), ["WAY OUT", "Platform 9", "Turn me around", "Mind the gap between model and data"]);
    assert.match(await page.locator(".lines li", { hasText: "Turn me around" }).innerText(), /upside down/);
    for (const model of ["ocr-det", "ocr-cls", "ocr-rec"]) assert.match(await card(page, model).innerText(), /ready/);
    await page.locator("#text [data-drop] input").setInputFiles({ name: "a.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
    const failure = page.locator("#text .failure");
    await failure.waitFor();
    assert.match(await failure.innerText(), /E_INVALID_INPUT[^]*cannot be read[^]*Hint:/);
  });
});

test("speech is heard in a recording", async () => {
  await visit("speech", async (page) => {
    await press(page, "Hear the sample");
    const segments = page.locator("[data-segments]", { hasText: "Speech" });
    await segments.waitFor();
    const seconds = (await segments.innerText()).match(/[\d.]+(?=\ss)/g).map(Number);
    // What samples/make.py makes: hiss, a voice, beeps, a voice, hiss.
    const expected = [0.9, 2.2, 3.8, 4.8];
    assert.equal(seconds.length, expected.length, `${seconds}`);
    expected.forEach((second, index) => assert.ok(Math.abs(seconds[index] - second) < 0.15, `${seconds}`));
    await page.locator("[data-sound]").setInputFiles({ name: "a.wav", mimeType: "audio/wav", buffer: Buffer.from("no sound") });
    await page.locator("#speech .failure", { hasText: "E_INVALID_INPUT" }).waitFor();
  });
});

test("speech is heard by the microphone", async () => {
  await visit("speech", async (page) => {
    await press(page, "Listen to the microphone");
    // The fake microphone plays the sample again and again.
    await page.locator("[data-verdict]", { hasText: "Somebody is speaking." }).waitFor();
    await page.locator("[data-verdict]", { hasText: "Nobody is speaking." }).waitFor();
    await press(page, "Stop listening");
    assert.equal(await page.locator("[data-microphone]").getAttribute("aria-pressed"), "false");
  });
});

test("a flipped byte is refused, an untouched bundle is not", async () => {
  await visit("tamper", async (page) => {
    // Always the same places, so that the test says the same every time: among the weights.
    await page.evaluate(() => {
      const places = [1_000_000, 500_000, 300_000];
      crypto.getRandomValues = () => [places.shift(), 3];
    });
    for (const model of ["magika", "silero-vad", "ocr-cls"]) {
      await page.locator("[data-bundle]").selectOption(model);
      await press(page, "Load it untouched");
      await page.locator(".outcome[data-code=accepted]", { hasText: `${model} is accepted: signed by this demo` }).waitFor();
      await press(page, "Flip one byte");
      const failure = page.locator(".outcome .failure");
      await failure.waitFor();
      assert.match(await failure.innerText(), /^E_CORRUPT\n[^]*digest of its stored bytes does not match[^]*Hint: /);
      assert.match(await page.locator(".outcome").innerText(), /^Byte [\d,]+ of [\d,]+ was ([\da-f]{2}) and is (?!\1)[\da-f]{2}\./);
    }
    assert.equal(await page.locator("[data-score]").innerText(), "3 of 3 changed bundles refused.");
  });
});

test("bundles of a stranger are refused, with code and hint", async () => {
  await visit(
    "file",
    async (page) => {
      await page.route("**/bundles/index.json", async (route) => {
        const response = await route.fetch();
        const index = await response.json();
        const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
        const stranger = publicKey.export({ type: "spki", format: "pem" });
        index.policy = index.policy.replace(/-----BEGIN[^]*END PUBLIC KEY-----\n/, stranger);
        await route.fulfill({ response, json: index });
      });
      await press(page, "bundle.rs");
      const failure = page.locator("#file .failure");
      await failure.waitFor();
      assert.match(await failure.innerText(), /^E_UNTRUSTED_KEY\n/);
      assert.match(await card(page, "magika").innerText(), /not loaded: E_UNTRUSTED_KEY/);
      assert.equal(await page.locator("#file .answer").count(), 0);
    },
    // What is refused is fetched no further.
    { ...DESKTOP, serviceWorkers: "block", isQuiet: false },
  );
});

test("after one visit everything works without a network", async () => {
  await visit("file", async (page, context) => {
    await nameFile(page, () => press(page, "bundle.rs"));
    await page.waitForFunction(async () => {
      const kept = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
      const urls = kept.flat().map(({ url }) => url);
      return [/\.wasm$/, /magika-[^/]*\.pannier$/, /styles\/tools\.css$/].every((wanted) => urls.some((url) => wanted.test(url)));
    });
    // What is kept answers once its worker is active.
    await page.evaluate(async () => void (await navigator.serviceWorker.ready));
    // No pretence: there is no server any more.
    await server.close();
    try {
      await context.setOffline(true);
      await page.reload();
      const answer = await nameFile(page, () => press(page, "icon.svg"));
      assert.equal(await answer.getAttribute("data-label"), "svg");
      assert.match(await card(page, "magika").innerText(), /from this browser's cache/);
      assert.match(await page.locator("#offline").innerText(), /No network/);
      assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector(".drop")).borderStyle), "dashed");
    } finally {
      server = await serve(site);
    }
  });
});

test("tabs can be used with the keyboard and have addresses", async () => {
  await visit("file", async (page) => {
    await page.getByRole("tab", { name: "Files" }).focus();
    for (const [key, panel] of [["ArrowRight", "text"], ["ArrowRight", "speech"], ["End", "tamper"], ["ArrowRight", "file"], ["ArrowLeft", "tamper"]]) {
      await page.keyboard.press(key);
      assert.ok(await page.locator(`#${panel}`).isVisible(), `${key}: ${panel}`);
      assert.equal(new URL(page.url()).hash, `#${panel}`);
      assert.equal(await page.locator("[role=tabpanel]").filter({ visible: true }).count(), 1);
    }
  });
});

test("the page may load nothing from elsewhere and run no script of another's", async () => {
  await visit(
    "file",
    async (page) => {
      const outcome = await page.evaluate(async () => {
        const script = document.createElement("script");
        script.textContent = "globalThis.injected = true";
        document.body.append(script);
        const fetched = await fetch("https://example.org/").then(() => "fetched", () => "refused");
        return { injected: globalThis.injected === true, fetched };
      });
      assert.deepEqual(outcome, { injected: false, fetched: "refused" });
    },
    { ...DESKTOP, isQuiet: false },
  );
});

const APPEARANCES = [
  ["desktop-light", { ...DESKTOP, colorScheme: "light" }],
  ["desktop-dark", { ...DESKTOP, colorScheme: "dark" }],
  ["phone-light", { ...PHONE, colorScheme: "light" }],
  ["phone-dark", { ...PHONE, colorScheme: "dark" }],
];
for (const [appearance, options] of APPEARANCES) {
  test(`nothing is cut off: ${appearance}`, async () => {
    await visit(
      "file",
      async (page) => {
        const look = async (name) => {
          const { scrollWidth, clientWidth } = await page.evaluate(() => {
            const { scrollWidth, clientWidth } = document.documentElement;
            return { scrollWidth, clientWidth };
          });
          assert.ok(scrollWidth <= clientWidth, `${name} is ${scrollWidth} wide`);
          if (screenshots) await page.screenshot({ path: join(screenshots, `${appearance}-${name}.png`), fullPage: true });
        };
        const open = (name) => page.getByRole("tab", { name }).click();
        await look("start");
        await nameFile(page, () => press(page, "bundle.rs"));
        await nameFile(page, () => press(page, "base.css"));
        await look("file");
        await open("Pictures");
        await readPicture(page, "till.png");
        await look("text");
        await open("Speech");
        await press(page, "Hear the sample");
        await page.locator("[data-segments]", { hasText: "Speech" }).waitFor();
        await look("speech");
        await open("Tampering");
        await press(page, "Flip one byte");
        await page.locator(".outcome .failure").waitFor();
        await look("tamper");
      },
      options,
    );
  });
}
