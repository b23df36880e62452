// Browsers, each started with a page and with nothing of any person's.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WEBGPU } from "./browser.mjs";
import { CHROMIUM } from "./setting.mjs";

const CHROMIUM_ARGUMENTS = ["--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync", ...WEBGPU];

const PROGRAMS = {
  chromium: (profile) => [CHROMIUM, [...CHROMIUM_ARGUMENTS, `--user-data-dir=${profile}`], {}],
  firefox: (profile) => ["firefox-esr", ["--headless", "--no-remote", "--profile", profile], {}],
  // It draws on a display; `Xvfb` is one that nobody sees. Its own sandbox is not for root, who runs tests in containers.
  webkit: async (profile, started) => [miniBrowser(), [], {
    DISPLAY: await display(started),
    HOME: profile,
    XDG_DATA_HOME: profile,
    WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1",
    LIBGL_ALWAYS_SOFTWARE: "1",
  }],
};

/** Opens a page in the browser of this name: `chromium`, `firefox` or `webkit`. Returns how to end it; `ended` is called if it ends before. */
export async function show(name, address, ended) {
  const profile = mkdtempSync(join(tmpdir(), "pannier-browser-"));
  const started = [];
  const [program, options, environment] = await PROGRAMS[name](profile, started);
  started.push(spawn(program, [...options, address], { env: { ...process.env, ...environment }, stdio: "ignore" }).on("exit", ended));
  return async () => {
    for (const each of started) each.removeListener("exit", ended);
    for (const each of started.reverse()) {
      if (each.exitCode !== null) continue;
      each.kill("SIGKILL");
      await once(each, "exit");
    }
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
}

/** WebKit's own small browser, which Debian has in a folder of the architecture. */
function miniBrowser() {
  const [place] = globSync("/usr/lib/*/webkit2gtk-4.*/MiniBrowser");
  if (place === undefined) throw new Error("no WebKit is here: run `cargo xtask setup --only browsers`");
  return place;
}

/** Begins a display that nobody sees. */
async function display(started) {
  const server = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "800x600x24", "-nolisten", "tcp"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  started.push(server);
  const [number] = await once(server.stdio[3], "data");
  return `:${String(number).trim()}`;
}
