import { InferenceSession, Tensor, env } from "../onnxruntime-web/ort.wasm.bundle.min.mjs";
import { start } from "./common.js";

start(async ({ file }) => {
  // Pannier has one thread as well.
  env.wasm.numThreads = 1;
  const session = await InferenceSession.create(file, { executionProviders: ["wasm"] });
  return {
    names: session.inputNames,
    tensor: (type, values, shape) => new Tensor(type, values, shape),
    run: (feeds) => session.run(feeds),
  };
});
