/**
 * An element with attributes and children. Texts are always text, never markup.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] names of attributes; `onclick` and the like are listeners
 * @param {...(Node | string)} children
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A button. */
export function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, text);
}

/** What went wrong, with its code and what can be done about it. */
export function failure(error) {
  const { code = "E_FAILED", message, hint = null } = error;
  const box = element("div", { class: "failure", role: "alert" });
  box.append(element("code", {}, code), element("p", {}, message));
  if (hint !== null) box.append(element("p", { class: "hint" }, `Hint: ${hint}`));
  return box;
}
