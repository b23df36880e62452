// Questions to the monitor. The token lives as long as the tab.

const KEY = "pannier-monitor-token";

/** A refusal: `status`, and what the monitor says about it. */
export class Refusal extends Error {
  constructor(status, body) {
    super(body.message ?? `the monitor answered ${status}`);
    this.status = status;
    this.hint = body.hint;
  }
}

export const remember = (token) => sessionStorage.setItem(KEY, token);

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  const token = sessionStorage.getItem(KEY);
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(response.status, body);
  return body;
}

export const read = (name, question = {}) => {
  const given = Object.entries(question).filter(([, value]) => value !== "" && value != null);
  return ask(`/api/v1/${name}?${new URLSearchParams(given)}`);
};

export const acknowledge = (id) =>
  ask(`/api/v1/alerts/${encodeURIComponent(id)}/acknowledge`, { method: "POST", headers: { "content-type": "application/json" } });
