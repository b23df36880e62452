// Where things are, as `tests/it/browser` says.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const setting = (name) => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: these tests are run by \`cargo test --test it browser\``);
  return value;
};

/** Folder with bundles, keys and cases. */
export const FIXTURES = setting("PANNIER_FIXTURES");
/** The npm package. */
export const PACKAGE = setting("PANNIER_WEB_PACKAGE");
/** The browser. */
export const CHROMIUM = setting("PANNIER_CHROMIUM");
/** The oldest Node that the package supports. */
export const OLDEST_NODE = setting("PANNIER_OLDEST_NODE");
/** Folder with `node_modules`. */
export const PACKAGES = setting("PANNIER_NODE_PACKAGES");

/** A package that the tests use. */
export const required = createRequire(join(PACKAGES, "package.json"));

/** A file among the fixtures. */
export const fixture = (name) => readFileSync(join(FIXTURES, name));

/** Keys in PEM, and cases: inputs and the answers that are right. */
export const KEYS = { publisher: fixture("publisher.pub").toString(), stranger: fixture("stranger.pub").toString() };
export const CASES = JSON.parse(fixture("cases.json"));
