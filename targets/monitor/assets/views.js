// The parts of the page, each made anew from a document of the API.

import { distribution, h, overTime, room, spark } from "./chart.js";
import * as format from "./format.js";

/** From this score on a distribution is taken for another: the usual reading of PSI. */
const DRIFT = 0.25;
const WATCH = 0.1;

const tile = (name, value, unit, note, tone) =>
  h("div", { class: "card" }, h("dt", {}, name), h("dd", { class: tone }, value, unit ? h("small", {}, ` ${unit}`) : ""), h("dd", { class: "note" }, note));

export function tiles(overview, alerts, range) {
  const rows = overview.rows;
  const all = (key) => rows.reduce((sum, row) => sum + row[key], 0);
  const [runs, errors, devices, silent, drifting] = ["runs", "errors", "devices", "silent", "drifting"].map(all);
  const rate = runs > 0 ? errors / runs : null;
  const on = alerts.filter((alert) => alert.ended_ms == null);
  const unseen = on.filter((alert) => alert.acknowledged_by == null).length;
  return [
    tile("Runs", format.count(runs), "", `${format.perSecond(all("runs_per_s"))} over ${range}`),
    tile("Failed", format.percent(rate), "", `${format.count(errors)} runs`, rate > 0.05 ? "bad" : rate > 0.01 ? "warn" : ""),
    tile("Models", format.count(rows.length), "", "versions × targets"),
    tile("Devices", format.count(devices), "", silent > 0 ? `${format.count(silent)} silent` : "all heard of", silent > 0 ? "warn" : ""),
    tile("Drifting", format.count(drifting), "", drifting === 1 ? "device" : "devices", drifting > 0 ? "warn" : ""),
    tile("Alerts", format.count(on.length), "", unseen > 0 ? `${unseen} not acknowledged` : on.length > 0 ? "all acknowledged" : "nothing is on", unseen > 0 ? "bad" : ""),
  ];
}

const about = (subject) => {
  const { model, version, target, fleet, site, tensor, device } = subject ?? {};
  const model_ = [model, version].filter(Boolean).join(" ");
  return [device, model_, target, tensor && `tensor ${tensor}`, site, fleet && fleet !== "default" && `fleet ${fleet}`].filter(Boolean).join(" · ");
};

/** Alerts that are on, at most `most` of them, and how many ended lately. */
export function alerts(list, now, acknowledge, most = 8) {
  const on = list.filter((alert) => alert.ended_ms == null);
  if (on.length === 0) return [h("p", { class: "card slim" }, "No alert is on. Rules are read from rules.toml in the monitor's folder.")];
  const worst = { critical: 0, warning: 1, info: 2 };
  on.sort((a, b) => (a.acknowledged_by != null) - (b.acknowledged_by != null) || worst[a.severity] - worst[b.severity] || b.started_ms - a.started_ms);
  const tone = { critical: "bad", warning: "warn", info: "plain" };
  const cards = on.slice(0, most).map((alert) =>
    h("article", { class: `card alert ${alert.severity}` },
      h("span", { class: `tag ${tone[alert.severity]}` }, alert.severity),
      h("div", { class: "about" }, h("strong", {}, alert.rule), " ", h("span", { class: "soft" }, about(alert.subject)),
        h("div", { class: "small soft" }, `${alert.message} · since ${format.duration(now - alert.started_ms)}`)),
      alert.acknowledged_by == null
        ? h("button", { type: "button", class: "action", "aria-label": `Acknowledge ${alert.rule}, ${about(alert.subject)}`, onclick: () => acknowledge(alert.id) }, "Acknowledge")
        : h("span", { class: "small faint" }, `seen by ${alert.acknowledged_by}`)));
  if (on.length > most) cards.push(h("p", { class: "small soft" }, `and ${on.length - most} more: /api/v1/alerts`));
  return cards;
}

const driftTag = (score, drifting) => {
  if (score == null) return h("span", { class: "faint" }, "–");
  const tone = drifting > 0 || score > DRIFT ? "bad" : score > WATCH ? "warn" : "plain";
  return h("span", { class: `tag ${tone}`, title: "mean score of the tensor that has moved most" }, format.number(score));
};

export const keyOf = (row) => [row.model, row.version, row.target].join("\u0000");

export function models(rows, chosen, choose) {
  if (rows.length === 0) {
    return h("p", { class: "card empty" }, "Nothing was reported in this range. Set OTEL_EXPORTER_OTLP_ENDPOINT to this address, or try `pannier-monitor simulate`.");
  }
  const heads = ["Model", "Traffic", "p50", "p99", "Failed", "Drift", "Oldest", "Devices"];
  const body = rows.map((row) => {
    const key = keyOf(row);
    const cell = (label, child, tone = "") => h("td", { class: `number ${tone}`, "data-label": label }, child);
    const pick = h("button", { type: "button", class: "pick", "aria-pressed": String(key === chosen) }, row.model || "(unnamed)");
    return h("tr", { class: key === chosen ? "chosen" : "", onclick: () => choose(key) },
      h("td", { class: "whole" }, pick, h("div", { class: "small soft" }, `${row.version || "no version"} · ${row.target || "no target"}`)),
      h("td", { class: "whole" }, h("div", { class: "traffic" }, spark(row.spark), h("span", { class: "small soft" }, format.perSecond(row.runs_per_s)))),
      cell("p50", format.milliseconds(row.p50_ms)),
      cell("p99", format.milliseconds(row.p99_ms)),
      cell("Failed", format.percent(row.error_rate), row.error_rate > 0.05 ? "bad" : row.error_rate > 0.01 ? "warn" : ""),
      cell("Drift", driftTag(row.drift_score, row.drifting)),
      cell("Oldest", row.age_s == null ? "–" : format.duration(row.age_s * 1000)),
      cell("Devices", [format.count(row.devices), row.silent > 0 ? h("div", { class: "small warn" }, `${row.silent} silent`) : ""]));
  });
  const head = h("tr", {}, ...heads.map((name, at) => h("th", { scope: "col", class: at > 1 ? "number" : "" }, name)));
  return h("div", { class: "card scroll" }, h("table", { class: "models stack" }, h("thead", {}, head), h("tbody", {}, ...body)));
}

const COLOURS = ["c1", "c2", "c3", "c4", "c5", "c6"];

export function detail(row, timeline, found) {
  const { times_ms: times, step_ms: step } = timeline;
  const line = (label, colour, values) => ({ label, colour, values });
  const failed = Object.values(timeline.errors).reduce((all, values) => all.map((value, at) => value + values[at]), times.map(() => 0));
  const fine = timeline.runs.map((runs, at) => runs - failed[at]);
  const codes = Object.entries(timeline.errors).map(([code, values]) => ({ label: code, count: values.reduce((a, b) => a + b, 0) }));
  codes.sort((a, b) => b.count - a.count);
  const drift = timeline.drift.map((each, at) => line(`${each.tensor} (${each.method})`, COLOURS[at % COLOURS.length], each.values));
  const parts = [
    overTime({ title: "Latency", times, step, show: format.milliseconds, lines: [line("p50", "p50", timeline.p50_ms), line("p95", "p95", timeline.p95_ms), line("p99", "p99", timeline.p99_ms)] }),
    overTime({ title: `Runs per ${format.duration(step)}`, times, step, bars: true, show: format.count, lines: [line("fine", "p50", fine), line("failed", "bad", failed)] }),
    overTime({ title: "Drift against the baseline", times, step, show: format.number, lines: drift, limit: drift.length > 0 ? DRIFT : null, empty: "No drift score was reported: the bundle has no baseline, or too few values were seen." }),
    bars("Failed runs by code", codes, "bad", "No run failed in this range."),
  ];
  const wide = found.tensors.length > 2 ? 330 : room();
  const tensors = found.tensors.map((each) => tensor(each, wide));
  if (tensors.length > 0) {
    parts.push(h("div", { class: "wide" }, h("div", { class: "heading" }, h("h3", {}, "Values against the baseline"),
      h("span", { class: "legend" }, h("span", {}, h("i", { class: "key", colour: "live" }), "seen in this range"), h("span", {}, h("i", { class: "key outline" }), "when it was built"))),
      h("div", { class: tensors.length > 2 ? "multiples" : "multiples two" }, ...tensors)));
  }
  if (found.classes.length > 0) {
    const classes = found.classes.map((each) => ({ label: each.class, count: each.count }));
    const panel = bars("Predictions by class", classes, "", "");
    panel.classList.add("wide");
    parts.push(panel);
  }
  if (timeline.queue_p99_ms.some((value) => value != null)) {
    parts.push(overTime({ title: "Waiting before a run", times, step, show: format.milliseconds, lines: [line("p99", "c6", timeline.queue_p99_ms)] }));
  }
  if (timeline.memory_bytes.some((value) => value != null)) {
    parts.push(overTime({ title: "Peak memory", times, step, show: format.bytes, lines: [line("memory", "c3", timeline.memory_bytes)] }));
  }
  const title = h("div", { class: "heading" }, h("h2", {}, row.model || "(unnamed)", h("span", { class: "soft" }, ` ${row.version} on ${row.target}`)));
  return [title, h("div", { class: "grid" }, ...parts)];
}

function tensor(each, wide) {
  const [method, score] = Object.entries(each.scores).sort((a, b) => b[1] - a[1])[0] ?? [];
  const invalid = Object.entries(each.invalid).filter(([, count]) => count > 0);
  const notes = [
    score == null ? null : h("span", { class: `tag ${score > DRIFT ? "bad" : score > WATCH ? "warn" : "plain"}` }, `${method} ${format.number(score)}`),
    each.detected > 0 ? h("span", { class: "small warn" }, `drift in ${format.percent(each.detected)} of windows`) : null,
  ];
  const label = `Distribution of ${each.role} ${each.tensor}${score == null ? "" : `, ${method} ${format.number(score)} against the baseline`}`;
  return h("figure", { class: "card panel" },
    h("header", {}, h("h3", {}, each.tensor, h("span", { class: "soft" }, ` ${each.role}`)), h("span", { class: "legend" }, ...notes.filter(Boolean))),
    distribution({ ...each, label, wide }),
    h("p", { class: "small faint" }, each.baseline ? "" : "No baseline in the bundle. ", invalid.length > 0 ? `Not valid: ${invalid.map(([rule, count]) => `${format.count(count)} ${rule}`).join(", ")}` : ""));
}

function bars(title, list, tone, empty) {
  const panel = h("div", { class: "card panel" }, h("header", {}, h("h3", {}, title)));
  if (list.length === 0) {
    panel.append(h("p", { class: "empty" }, empty));
    return panel;
  }
  const most = Math.max(...list.map((each) => each.count));
  panel.append(h("ul", { class: "bars" }, ...list.map((each) =>
    h("li", {}, h("span", { title: each.label }, each.label), h("span", { class: "meter" }, h("i", { class: tone, width: `${(each.count / most) * 100}%` })), h("span", { class: "number" }, format.count(each.count))))));
  return panel;
}

export function devices(list, sought, now, most, more) {
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = list.devices.filter((each) => {
    const text = [each.device, each.site, each.model, each.version, each.target, each.fleet].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
  if (rows.length === 0) return h("p", { class: "card empty" }, list.total === 0 ? "No device has reported yet." : "No device matches.");
  const heads = ["Device", "Site", "Model", "Last heard of", "Runs", "Failed", "Drift", "Waiting", "Given up"];
  const shown = rows.slice(0, most);
  const body = shown.map((each) => {
    const cell = (label, child, tone = "") => h("td", { class: `number ${tone}`, "data-label": label }, child);
    const state = each.silent ? "silent" : each.drifting ? "drifting" : "well";
    const dot = h("i", { class: `dot ${each.silent ? "bad" : each.drifting ? "warn" : ""}`, role: "img", "aria-label": state, title: state });
    return h("tr", {},
      h("td", { class: "whole" }, dot, each.device || "(no service.instance.id)", each.silent ? h("span", { class: "tag bad" }, "silent") : ""),
      h("td", { "data-label": "Site" }, each.site || "–"),
      h("td", { "data-label": "Model" }, `${each.model} ${each.version}`, h("div", { class: "small soft" }, [each.target, each.arch].filter(Boolean).join(" · "))),
      h("td", { "data-label": "Last heard of", class: each.silent ? "bad" : "" }, format.ago(each.received_ms, now)),
      cell("Runs", format.count(each.runs)),
      cell("Failed", format.count(each.errors), each.errors > 0 ? "bad" : ""),
      cell("Drift", format.number(each.drift_score), each.drifting ? "warn" : ""),
      cell("Waiting", each.spool_bytes > 0 ? format.bytes(each.spool_bytes) : "–"),
      cell("Given up", each.dropped > 0 ? format.count(each.dropped) : "–", each.dropped > 0 ? "warn" : ""));
  });
  const head = h("tr", {}, ...heads.map((name, at) => h("th", { scope: "col", class: at > 3 ? "number" : "" }, name)));
  const table = h("div", { class: "card scroll" }, h("table", { class: "stack" }, h("thead", {}, head), h("tbody", {}, ...body)));
  const hidden = rows.length - shown.length;
  const beyond = words.length > 0 ? 0 : list.total - list.devices.length;
  if (hidden + beyond === 0) return table;
  const rest = h("p", { class: "small soft more" }, `${format.count(hidden + beyond)} more. Silent and drifting ones come first. `);
  if (hidden > 0) rest.append(h("button", { type: "button", class: "quiet", onclick: more }, "Show more"));
  return h("div", {}, table, rest);
}

export function audit(entries) {
  if (entries.length === 0) return h("p", { class: "card empty" }, "Nothing was changed yet.");
  const body = entries.slice(0, 100).map((each) => h("tr", {},
    h("td", { "data-label": "When", class: "soft" }, format.full(each.time_ms)), h("td", { "data-label": "Who" }, each.actor),
    h("td", { "data-label": "What" }, h("span", { class: "tag plain" }, each.action)), h("td", { class: "whole" }, each.detail)));
  const head = h("tr", {}, ...["When", "Who", "What", "Which"].map((name) => h("th", { scope: "col" }, name)));
  return h("div", { class: "card scroll" }, h("table", { class: "stack" }, h("thead", {}, head), h("tbody", {}, ...body)));
}
