export { PannierError } from "./error.js";
export { init } from "./init.js";
export { Session } from "./session.js";
export { State } from "./state.js";
export { Tensor } from "./tensor.js";
