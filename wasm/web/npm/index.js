export { PannierError } from "./src/error.js";
export { init } from "./src/init.js";
export { Session } from "./src/session.js";
export { State } from "./src/state.js";
export { Tensor } from "./src/tensor.js";
