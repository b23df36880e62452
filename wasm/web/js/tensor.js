import { PannierError } from "./error.js";

/** Element types: the number that ONNX has for each, and the array that holds the elements. */
export const TYPES = {
  float32: { number: 1, array: Float32Array },
  uint8: { number: 2, array: Uint8Array },
  int8: { number: 3, array: Int8Array },
  uint16: { number: 4, array: Uint16Array },
  int16: { number: 5, array: Int16Array },
  int32: { number: 6, array: Int32Array },
  int64: { number: 7, array: BigInt64Array },
  bool: { number: 9, array: Uint8Array },
  float16: { number: 10, array: Uint16Array },
  float64: { number: 11, array: Float64Array },
  uint32: { number: 12, array: Uint32Array },
  uint64: { number: 13, array: BigUint64Array },
  bfloat16: { number: 16, array: Uint16Array },
};

const NAMES = new Map(Object.entries(TYPES).map(([name, { number }]) => [number, name]));

/** Name of the element type with this number. */
export const typeName = (number) => NAMES.get(number);

const MOST_DIM = 2 ** 32 - 1;

/** Elements of one type in a row-major shape. */
export class Tensor {
  /**
   * @param {string} type element type, for example `"float32"`
   * @param {ArrayBufferView | ArrayLike<number | bigint | boolean>} data elements; a typed array is kept, not copied
   * @param {readonly number[]} [dims] shape; one dimension if it is left out
   */
  constructor(type, data, dims) {
    const known = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
    if (known === undefined) {
      throw invalid(`there is no element type \`${type}\``, `one of ${Object.keys(TYPES).join(", ")}`);
    }
    this.type = type;
    this.data = elements(type, known.array, data);
    this.dims = Object.freeze(Array.from(dims ?? [this.data.length]));
    this.size = this.dims.reduce((size, dim) => {
      if (!Number.isInteger(dim) || dim < 0 || dim > MOST_DIM) throw invalid(`a dimension cannot be ${dim}`);
      return size * dim;
    }, 1);
    if (this.size !== this.data.length) {
      throw invalid(`shape [${this.dims.join(", ")}] takes ${this.size} elements, found ${this.data.length}`);
    }
  }
}

function elements(type, array, data) {
  if (ArrayBuffer.isView(data)) {
    // Half floats of those engines that have them are the same bits.
    const isHalf = type === "float16" && data.constructor.name === "Float16Array";
    if (isHalf) return new Uint16Array(data.buffer, data.byteOffset, data.length);
    if (data instanceof array || (type === "bool" && data instanceof Uint8ClampedArray)) return data;
    throw invalid(`${type} wants a ${array.name}, found ${data.constructor.name}`);
  }
  if (data === null || typeof data !== "object" || !Number.isInteger(data.length)) {
    throw invalid(`${type} wants a ${array.name}, found ${data === null ? "null" : typeof data}`);
  }
  const isBig = array === BigInt64Array || array === BigUint64Array;
  try {
    return array.from(data, isBig ? BigInt : Number);
  } catch (cause) {
    throw new PannierError("E_INVALID_INPUT", `not every element is of type ${type}`, { cause });
  }
}

function invalid(message, hint) {
  return new PannierError("E_INVALID_INPUT", message, { hint });
}
