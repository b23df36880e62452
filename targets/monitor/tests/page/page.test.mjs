// What the page shows of twelve devices with four models, of which those in Bilbao drift. Started by `tests/it/page.rs`.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

const { PANNIER_MONITOR: URL, PANNIER_NODE_PACKAGES: PACKAGES, PANNIER_CHROMIUM: CHROMIUM } = process.env;
const { chromium } = createRequire(join(PACKAGES, "package.json"))("playwright-core");

/** Least contrast of text with its ground: WCAG 2.2, level AA. */
const CONTRAST = 4.5;

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser?.close());

async function open(looks, hash = "") {
  const context = await browser.newContext(looks);
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && page.problems.push(message.text()));
  await page.goto(`${URL}/${hash}`);
  await page.locator("#models table").waitFor();
  await page.locator("#detail svg").first().waitFor();
  return page;
}

/** The number that a tile shows. */
const tile = (page, name) => page.locator(".tiles > div", { has: page.locator(`dt:text-is("${name}")`) }).locator("dd").first().innerText();

/** Texts whose contrast with what is behind them is too small, with that contrast. */
const pale = (page, least) =>
  page.evaluate((least) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
    };
    const luminance = (rgb) => {
      const [r, g, b] = rgb.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
      const layers = [];
      for (let at = element; at !== null; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
      return layers.reduce((below, [r, g, b, a]) => [r, g, b].map((value, at) => value * a + below[at] * (1 - a)), [1, 1, 1]);
    };
    const found = [];
    for (const element of document.querySelectorAll("main *, header *")) {
      const isText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
      if (!isText || element.closest("svg, [hidden], .hidden, option, details:not([open])") !== null || element.getClientRects().length === 0) continue;
      const [one, other] = [luminance(rgba(getComputedStyle(element).color).slice(0, 3)), luminance(ground(element))].sort((a, b) => b - a);
      const contrast = (one + 0.05) / (other + 0.05);
      if (contrast < least) found.push(`${element.textContent.trim().slice(0, 30)}: ${contrast.toFixed(2)}`);
    }
    return [...new Set(found)];
  }, least);

for (const [name, looks] of Object.entries({
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  "a phone": { viewport: { width: 360, height: 780 }, colorScheme: "light", isMobile: true, hasTouch: true },
})) {
  test(`fits and can be read: ${name}`, async () => {
    const page = await open(looks);
    const { wide, ground } = await page.evaluate(() => ({
      wide: [...document.querySelectorAll("body *")].filter((it) => it.getBoundingClientRect().right > innerWidth + 1 && it.closest(".scroll, .hidden, .skip") === null).map((it) => it.outerHTML.slice(0, 80)),
      ground: getComputedStyle(document.body).backgroundColor,
    }));
    assert.deepEqual(wide, [], "nothing sticks out");
    assert.equal(/rgb\((\d+)/.exec(ground)[1] < 60, name === "dark", ground);
    assert.deepEqual(await pale(page, CONTRAST), []);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });
}

describe("what it says", () => {
  let page;
  before(async () => {
    page = await open({ viewport: { width: 1280, height: 900 } });
  });

  test("in short", async () => {
    assert.equal(await tile(page, "Devices"), "12");
    assert.equal(await tile(page, "Models"), "4");
    assert.equal(await tile(page, "Drifting"), "4", "those in Bilbao");
    assert.equal(await tile(page, "Alerts"), "0");
    assert.match(await tile(page, "Runs"), /^\d/);
  });

  test("of each model, and of the chosen one in detail", async () => {
    const rows = page.locator("#models tbody tr");
    assert.equal(await rows.count(), 4);
    const row = rows.filter({ hasText: "wasmtime" });
    await row.click();
    await page.locator("#detail h2", { hasText: "ocr 2.0.3 on wasmtime" }).waitFor();
    assert.match(page.url(), /model=ocr/, "the address says what is chosen");
    const titles = await page.locator("#detail h3").allInnerTexts();
    for (const title of ["Latency", "Drift against the baseline", "Failed runs by code", "x input", "y output"]) {
      assert.ok(titles.some((found) => found.startsWith(title)), `${title} of ${titles}`);
    }
    assert.equal(await page.locator("#detail svg:not([aria-label])").count(), 0, "every chart says what it shows");
    const drawn = await page.locator("#detail svg path, #detail svg rect, #detail svg polyline").count();
    assert.ok(drawn > 20, `${drawn} marks`);
  });

  test("of the devices that are looked for", async () => {
    await page.locator("#find").fill("bilbao");
    const names = await page.locator("#devices tbody tr td:first-child").allInnerTexts();
    assert.deepEqual(names.map((name) => name.trim().slice(0, 6)), Array(4).fill("bilbao"));
    assert.equal(await page.locator('#devices [role="img"][aria-label="drifting"]').count(), 4);
    await page.locator("#find").fill("");
  });

  test("of one site", async () => {
    await page.locator("#site").selectOption("Aarhus");
    await page.waitForFunction(() => [...document.querySelectorAll(".tiles dt")].some((it) => it.textContent === "Devices" && it.nextElementSibling.textContent.trim() === "4"));
    assert.equal(await tile(page, "Drifting"), "0");
  });

  test("in the looks that are chosen, also after a reload", async () => {
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const before = await ground();
    await page.locator("#theme").click();
    const chosen = await ground();
    assert.notEqual(chosen, before);
    await page.reload();
    await page.locator("#models table").waitFor();
    assert.equal(await ground(), chosen);
    assert.deepEqual(page.problems, []);
  });
});
