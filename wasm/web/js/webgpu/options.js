import { usage } from "../error.js";
import { loadOptions } from "../options.js";

const ENGINES = ["auto", "webgpu", "cpu"];

/** The options of `Session.create`, checked: those of every session as `loadOptions` gives them, and those of this entry point. */
export function webgpuOptions(options) {
  const { engine = "auto", allowSoftwareAdapter = false, webgpu, ...others } = options;
  if (!ENGINES.includes(engine)) throw usage(`there is no engine \`${engine}\``, `there are ${ENGINES.join(", ")}`);
  if (typeof allowSoftwareAdapter !== "boolean") throw usage("`allowSoftwareAdapter` is true or false");
  return { ...loadOptions(others), engine, allowSoftwareAdapter, webgpu };
}
