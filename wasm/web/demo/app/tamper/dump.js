import { element } from "../ui/elements.js";

const PER_ROW = 8;
const ROWS_AROUND = 2;

/** The bytes around one that is marked, in hexadecimal and as text. */
export function dump(bytes, marked) {
  const row = Math.floor(marked / PER_ROW);
  const table = element("pre", { class: "dump", role: "img", "aria-label": `The bytes around number ${marked}` });
  for (let each = Math.max(0, row - ROWS_AROUND); each <= row + ROWS_AROUND && each * PER_ROW < bytes.length; each++) {
    const start = each * PER_ROW;
    const part = [...bytes.subarray(start, start + PER_ROW)];
    const cells = (text) => part.map((byte, index) => element(start + index === marked ? "mark" : "span", {}, text(byte)));
    table.append(element("i", {}, start.toString(16).padStart(8, "0")), "  ");
    for (const cell of cells((byte) => byte.toString(16).padStart(2, "0"))) table.append(cell, " ");
    table.append("   ".repeat(PER_ROW - part.length), " ", ...cells(character), "\n");
  }
  return table;
}

function character(byte) {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
}
