// Elements. Text is always a text node, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** Control characters, line separators, and characters that change the direction of the text around them. */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

/** Escapes these, as the tool does on a terminal. Names of files can have them. */
function printable(text) {
  const escaped = (byte) => `\\x${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return text.replace(UNSAFE, (one) => [...new TextEncoder().encode(one)].map(escaped).join(""));
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : printable(String(value)));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : printable(String(child)));
  }
  return element;
}

/** Creates an element of HTML. Attributes that are functions are listeners. */
function make(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** Creates an element of SVG. */
function draw(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

const byId = (id) => document.getElementById(id);

/** Creates a picture of a size in pixels, which is scaled down where there is less room. */
function picture(width, height, label, ...children) {
  const size = { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": label };
  return draw("svg", size, ...children);
}

/** A button that looks like a link. */
function link(text, open, label) {
  return make("button", { type: "button", class: "link", click: open, "aria-label": label }, text);
}

/** A button that closes what is named. */
function closer(what, close) {
  const label = `Close the ${what}`;
  return make("button", { type: "button", class: "close", click: close, "aria-label": label }, "Close");
}

/** A figure with its caption above. */
const figure = (caption, ...children) => make("figure", {}, make("figcaption", {}, caption), children);

/** Replaces the content of an element. */
function show(parent, ...children) {
  parent.replaceChildren();
  return fill(parent, {}, children);
}

/** Describes an element to readers of the screen, and in a box while the pointer or the focus is on it. */
function describe(element, lines) {
  const said = lines.filter(Boolean);
  element.setAttribute("aria-label", printable(said.join(", ")));
  const tip = byId("tip");
  const open = () => {
    show(tip, said.map((line, at) => make("div", { class: at === 0 ? "first" : null }, line)));
    tip.hidden = false;
    const [place, size] = [element.getBoundingClientRect(), tip.getBoundingClientRect()];
    const left = Math.min(Math.max(8, place.left), document.documentElement.clientWidth - size.width - 8);
    const above = place.top - size.height - 8;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above > 0 ? above : place.bottom + 8}px`;
  };
  const close = () => { tip.hidden = true; };
  for (const event of ["mouseenter", "focus"]) element.addEventListener(event, open);
  for (const event of ["mouseleave", "blur"]) element.addEventListener(event, close);
  return element;
}

/** Lets the arrow keys move the focus among elements, one of which is reached by Tab. */
function moveByArrows(elements, first) {
  elements.forEach((element, at) => {
    element.setAttribute("tabindex", at === first ? "0" : "-1");
    element.addEventListener("focus", () => {
      elements.forEach((other) => other.setAttribute("tabindex", other === element ? "0" : "-1"));
    });
    element.addEventListener("keydown", (event) => {
      const last = elements.length - 1;
      const to = {
        ArrowRight: Math.min(at + 1, last), ArrowDown: Math.min(at + 1, last),
        ArrowLeft: Math.max(at - 1, 0), ArrowUp: Math.max(at - 1, 0), Home: 0, End: last,
      }[event.key];
      if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      elements[to].focus();
    });
  });
}

/** Lets a click, Enter and Space do something; `open` is called with whether it was a key. */
function activate(element, open) {
  element.setAttribute("role", "button");
  element.addEventListener("click", () => open(false));
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    open(true);
  });
}
