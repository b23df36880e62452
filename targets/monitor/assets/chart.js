// Charts as SVG: lines and stacked bars over time, distributions, sparks. Each can be read with a pointer, with the arrow keys,
// and by its label.

import * as format from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element: attributes, then children. Text is only ever text. */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "colour") element.style.setProperty("background", `var(--${value})`);
    else if (key === "width" && element.localName === "i") element.style.setProperty("width", value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Round numbers from 0 to at least `most`: about three. */
export function scale(most) {
  if (!(most > 0)) return [0, 1];
  const rough = most / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const ticks = [];
  for (let at = 0; at < most + step * 0.999; at += step) ticks.push(Number(at.toPrecision(6)));
  return ticks;
}

const HEIGHT = 190;
const LEFT = 58;
const BOTTOM = 22;
const TOP = 8;
const RIGHT = 8;

/** Room for a chart, in pixels: drawn for just that, texts keep their size. */
export function room() {
  const inside = document.getElementById("main").clientWidth;
  return Math.max(260, innerWidth <= 760 ? inside - 58 : (Math.min(inside, 1240) - 48) / 2 - 34);
}

/**
 * A chart over time. `lines`: `{ label, colour, values }`, drawn as lines, or with `bars` stacked on each other.
 * The legend shows the newest values, or those under the cursor.
 */
export function overTime({ title, times, step, lines, bars = false, show, limit = null, empty = "Nothing was reported in this range." }) {
  const shown = lines.filter((line) => line.values.some((value) => value != null && (value > 0 || !bars)));
  const legend = h("span", { class: "legend" });
  const panel = h("figure", { class: "card panel" }, h("header", {}, h("h3", {}, title), legend));
  if (times.length === 0 || shown.length === 0) {
    panel.append(h("p", { class: "empty" }, empty));
    return panel;
  }
  const WIDTH = Math.round(room());
  const span = times.at(-1) - times[0] + step;
  const tops = bars ? times.map((_, at) => sum(shown.map((line) => line.values[at] ?? 0))) : shown.flatMap((line) => line.values.filter((value) => value != null));
  const ticks = scale(Math.max(...tops, limit ?? 0));
  const most = ticks.at(-1);
  const x = (time) => LEFT + ((time - times[0]) / span) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - TOP);
  const chart = s("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: 0, role: "img" });
  for (const value of ticks) {
    chart.append(s("line", { class: value === 0 ? "axis" : "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }));
    chart.append(s("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, show(value)));
  }
  for (const time of timeTicks(times[0], times[0] + span)) {
    chart.append(s("text", { x: x(time), y: HEIGHT - 6, "text-anchor": "middle" }, format.tick(time, span)));
  }
  if (limit != null) chart.append(s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(limit), y2: y(limit), stroke: "var(--warn)", "stroke-dasharray": "4 4" }));
  if (bars) drawBars(chart, shown, times, step, x, y);
  else for (const line of shown) chart.append(s("path", { d: path(line.values, times, x, y, step), fill: "none", stroke: `var(--${line.colour})`, "stroke-width": 1.8, "stroke-linejoin": "round" }));
  const cursor = s("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  chart.append(cursor);

  let at = null;
  const say = () => {
    const index = at ?? lastWith(shown);
    const when = at == null ? "" : format.moment(times[index], span);
    legend.replaceChildren(...(when ? [h("span", {}, when)] : []), ...shown.map((line) =>
      h("span", {}, h("i", { class: "key", colour: line.colour }), `${line.label} `, h("b", {}, show(line.values[index])))));
    cursor.setAttribute("visibility", at == null ? "hidden" : "visible");
    if (at != null) {
      const middle = x(times[at] + step / 2);
      cursor.setAttribute("x1", middle);
      cursor.setAttribute("x2", middle);
    }
    const values = shown.map((line) => `${line.label} ${show(line.values[index])}`).join(", ");
    chart.setAttribute("aria-label", `${title}. ${when || "Newest"}: ${values}. Arrow keys move through time.`);
  };
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * WIDTH;
    const index = Math.floor((((place - LEFT) / (WIDTH - LEFT - RIGHT)) * span) / step);
    at = index >= 0 && index < times.length ? index : null;
    say();
  });
  const leave = () => { at = null; say(); };
  chart.addEventListener("pointerleave", leave);
  chart.addEventListener("blur", leave);
  chart.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (by == null) return;
    event.preventDefault();
    at = Math.min(times.length - 1, Math.max(0, (at ?? times.length) + by));
    say();
  });
  say();
  panel.append(chart);
  return panel;
}

const sum = (values) => values.reduce((all, value) => all + value, 0);

function lastWith(lines) {
  for (let at = lines[0].values.length - 1; at >= 0; at -= 1) if (lines.some((line) => line.values[at] != null)) return at;
  return 0;
}

function path(values, times, x, y, step) {
  let d = "";
  let open = false;
  values.forEach((value, at) => {
    if (value == null) { open = false; return; }
    const next = at + 1 < values.length ? values[at + 1] : null;
    const place = x(times[at] + step / 2).toFixed(1);
    d += `${open ? "L" : "M"}${place} ${y(value).toFixed(1)}`;
    // A point without neighbours would not be seen.
    if (!open && next == null) d += "h3";
    open = true;
  });
  return d;
}

function drawBars(chart, lines, times, step, x, y) {
  const width = Math.max(1, x(times[0] + step) - x(times[0]) - 1);
  times.forEach((time, at) => {
    let below = 0;
    for (const line of lines) {
      const value = line.values[at] ?? 0;
      if (value > 0) {
        const height = Math.max(y(below) - y(below + value), line.colour === "bad" ? 1.5 : 0.5);
        chart.append(s("rect", { x: x(time).toFixed(1), y: (y(below) - height).toFixed(1), width: width.toFixed(1), height: height.toFixed(1), fill: `var(--${line.colour})` }));
      }
      below += value;
    }
  });
}

function timeTicks(from, to) {
  const steps = [5, 10, 15, 30, 60, 180, 360, 720, 1440, 2880, 10080].map((minutes) => minutes * 60e3);
  const step = steps.find((each) => (to - from) / each <= 6) ?? steps.at(-1);
  const offset = new Date(from).getTimezoneOffset() * 60e3;
  const ticks = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at < to; at += step) {
    if (at - from > (to - from) * 0.04 && to - at > (to - from) * 0.04) ticks.push(at);
  }
  return ticks;
}

/** The small chart in a row of the table. */
export function spark(values) {
  const most = Math.max(...values, 1);
  const width = 120 / values.length;
  const bars = values.map((value, at) => {
    const height = value > 0 ? Math.max(1.5, (value / most) * 26) : 0;
    return s("rect", { x: (at * width).toFixed(1), y: (28 - height).toFixed(1), width: Math.max(1, width - 1).toFixed(1), height: height.toFixed(1), fill: "var(--live)", opacity: 0.75 });
  });
  return s("svg", { class: "spark", viewBox: "0 0 120 28", preserveAspectRatio: "none", "aria-hidden": "true" }, ...bars);
}

/** What was seen as bars, with the baseline drawn over them as an outline. Both are shares of their own total. */
export function distribution({ bounds, live, baseline, label, wide }) {
  const [high, bottom, top] = [150, 20, 6];
  const shares = (counts) => { const all = sum(counts) || 1; return counts.map((value) => value / all); };
  const seen = shares(live);
  const built = baseline ? shares(baseline) : null;
  const most = Math.max(...seen, ...(built ?? [])) || 1;
  const width = wide / live.length;
  const y = (share) => high - bottom - (share / most) * (high - bottom - top);
  const bars = seen.map((share, at) => s("rect", { x: (at * width + 0.5).toFixed(1), y: y(share).toFixed(1), width: (width - 1).toFixed(1), height: (high - bottom - y(share)).toFixed(1), fill: "var(--live)", opacity: 0.8 }));
  const outline = [];
  if (built) {
    const d = built.map((share, at) => `${at === 0 ? "M" : "L"}${(at * width).toFixed(1)} ${y(share).toFixed(1)}H${((at + 1) * width).toFixed(1)}`).join("");
    outline.push(s("path", { d, fill: "none", stroke: "var(--base)", "stroke-width": 1.6, "stroke-linejoin": "round" }));
  }
  const edge = (at) => s("text", { x: (at + 1) * width, y: high - 5, "text-anchor": "middle" }, format.number(bounds[at]));
  const edges = bounds.length === 0 ? [] : [...new Set([0, Math.floor((bounds.length - 1) / 2), bounds.length - 1])].map(edge);
  const axis = s("line", { x1: 0, x2: wide, y1: high - bottom, y2: high - bottom, stroke: "var(--line)" });
  return s("svg", { class: "histogram", viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": label }, ...bars, axis, ...outline, ...edges);
}
