// What is chosen, and the loop that asks for it again.

import * as api from "./api.js";
import { h } from "./chart.js";
import * as format from "./format.js";
import * as views from "./views.js";

const HOUR = 3600e3;
const RANGES = { "1 h": HOUR, "6 h": 6 * HOUR, "24 h": 24 * HOUR, "7 d": 168 * HOUR, "30 d": 720 * HOUR };
const REFRESH = 15e3;
const at = (id) => document.getElementById(id);

// The address says what is chosen, so that it can be sent to somebody.
const given = new URLSearchParams(location.hash.slice(1));
const chosen = {
  range: given.get("range") in RANGES ? given.get("range") : "1 h",
  fleet: given.get("fleet") ?? "",
  site: given.get("site") ?? "",
  model: given.get("model"),
};
let latest = null;
let devicesShown = 12;
let round = 0;

function keep() {
  const entries = Object.entries(chosen).filter(([, value]) => value);
  history.replaceState(null, "", `#${new URLSearchParams(entries)}`);
}

async function refresh() {
  round += 1;
  const mine = round;
  const now = Date.now();
  const question = { from_ms: now - RANGES[chosen.range], to_ms: now + 60e3, fleet: chosen.fleet, site: chosen.site };
  const place = { fleet: chosen.fleet, site: chosen.site };
  try {
    const [overview, alerts, devices, status] = await Promise.all([api.read("overview", question), api.read("alerts"), api.read("devices", place), api.read("status")]);
    const row = overview.rows.find((each) => views.keyOf(each) === chosen.model) ?? overview.rows[0];
    let detail = [];
    if (row) {
      const { model, version, target } = row;
      const which = { ...question, model, version, target };
      detail = await Promise.all([api.read("timeline", which), api.read("distributions", which)]);
    }
    // An answer to an older question says nothing about what is chosen now.
    if (mine !== round) return;
    latest = { overview, alerts: alerts.alerts, devices, status, row, detail };
    show();
    if (at("audit").open) at("audit-list").replaceChildren(views.audit((await api.read("audit")).entries));
    notice("");
  } catch (error) {
    if (error.status === 401) return ask(sessionStorage.length > 0 ? error.message : "");
    notice(error instanceof api.Refusal ? `${error.message}. ${error.hint ?? ""}` : "The monitor does not answer. What is shown is what it said last.");
  }
}

function show() {
  const { overview, alerts, devices, status, row, detail } = latest;
  at("login").hidden = true;
  at("content").hidden = false;
  options("fleet", "All fleets", overview.fleets);
  options("site", "All sites", overview.sites);
  at("tiles").replaceChildren(...views.tiles(overview, alerts, chosen.range));
  at("alert-list").replaceChildren(...views.alerts(alerts, status.now_ms, acknowledge));
  keepFocus(at("models"), () => views.models(overview.rows, row && views.keyOf(row), choose));
  // A chart under a pointer or with the focus stays as it is until it is left.
  if (!at("detail").matches(":hover, :focus-within") || at("detail").dataset.model !== (row && views.keyOf(row)) || at("detail").dataset.range !== chosen.range) {
    at("detail").replaceChildren(...(row ? views.detail(row, ...detail) : []));
    at("detail").dataset.model = row ? views.keyOf(row) : "";
    at("detail").dataset.range = chosen.range;
  }
  showDevices();
  at("footer").replaceChildren(
    h("span", {}, `pannier-monitor ${status.version}`), h("span", {}, `${format.count(status.sources)} models on devices, ${format.bytes(status.store_bytes)}`),
    h("span", {}, `${format.count(status.stored_points)} points since ${format.full(status.started_ms)}`),
    status.rejected_points > 0 ? h("span", { class: "warn" }, `${format.count(status.rejected_points)} points not taken`) : "",
    status.damaged_rows + overview.damaged_rows > 0 ? h("span", { class: "bad" }, `${status.damaged_rows + overview.damaged_rows} damaged rows left out`) : "",
    h("a", { href: "/api/openapi.json" }, "API"), h("a", { href: "/metrics" }, "Prometheus"));
  document.title = `${alerts.filter((alert) => alert.ended_ms == null).length || ""} Pannier monitor`.trim();
}

function showDevices() {
  at("devices").replaceChildren(views.devices(latest.devices, at("find").value, latest.status.now_ms, devicesShown, () => {
    devicesShown *= 4;
    showDevices();
  }));
}

/** Makes the inside anew and puts the focus back to the button that had it. */
function keepFocus(place, make) {
  const focused = [...place.querySelectorAll("button")].indexOf(document.activeElement);
  place.replaceChildren(make());
  if (focused >= 0) place.querySelectorAll("button")[focused]?.focus();
}

function options(id, all, names) {
  const select = at(id);
  if (chosen[id] && !names.includes(chosen[id])) names = [...names, chosen[id]];
  if (select.options.length !== names.length + 1) select.replaceChildren(h("option", { value: "" }, all), ...names.map((name) => h("option", { value: name }, name)));
  select.value = chosen[id];
}

function choose(key) {
  chosen.model = key;
  keep();
  refresh();
}

async function acknowledge(id) {
  await api.acknowledge(id).catch((error) => notice(error.message));
  refresh();
}

function notice(text) {
  at("notice").textContent = text;
  at("notice").hidden = text === "";
}

function ask(text) {
  at("content").hidden = true;
  at("login").hidden = false;
  notice(text);
}

at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  api.remember(new FormData(event.target).get("token").trim());
  refresh();
});
at("ranges").append(...Object.keys(RANGES).map((name) =>
  h("label", {}, h("input", { type: "radio", name: "range", value: name, checked: name === chosen.range }), h("span", {}, name))));
at("ranges").addEventListener("change", (event) => { chosen.range = event.target.value; keep(); refresh(); });
for (const id of ["fleet", "site"]) at(id).addEventListener("change", (event) => { chosen[id] = event.target.value; keep(); refresh(); });
at("find").addEventListener("input", showDevices);
at("audit").addEventListener("toggle", refresh);
at("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).getPropertyValue("--ground").trim() === "#101413";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
});
if (localStorage.getItem("theme")) document.documentElement.dataset.theme = localStorage.getItem("theme");
let resized = 0;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => { at("detail").dataset.model = ""; if (latest) show(); }, 150);
});
refresh();
setInterval(() => { if (!document.hidden) refresh(); }, REFRESH);
