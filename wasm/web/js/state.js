import { usage } from "./error.js";
import { Tensor } from "./tensor.js";

/** What a model remembers of one stream: the tensors that its next run takes from its last one. */
export class State {
  #tensors = new Map();

  /** The tensor that the next step takes for the input of this name, if there is one. */
  get(input) {
    return this.#tensors.get(input);
  }

  /** Sets the tensor that the next step takes for the input of this name. */
  set(input, tensor) {
    if (!(tensor instanceof Tensor)) throw usage("a state is made of tensors");
    this.#tensors.set(input, tensor);
  }

  /** Forgets everything, as for a new stream. */
  reset() {
    this.#tensors.clear();
  }
}
