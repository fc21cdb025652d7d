// The file, which is read by a worker.

/** Returns the bytes of an element with Base64. */
const embedded = (id) => Uint8Array.from(atob(byId(id).textContent), (character) => character.charCodeAt(0));

/** A worker with one file. Requests are answered in order. */
class Reader {
  constructor(file, progress) {
    const script = URL.createObjectURL(new Blob([embedded("worker")], { type: "text/javascript" }));
    this.waiting = new Map();
    this.last = 0;
    this.broken = null;
    this.worker = new Worker(script);
    this.worker.onmessage = ({ data }) => {
      if (data.broken !== undefined) this.fail(data.broken);
      else if (data.id === undefined) progress?.(data.done, data.all);
      else this.answer(data.id, JSON.parse(data.answer));
    };
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.fail(event.message || "The worker cannot be started.");
    };
    const wasm = embedded("wasm");
    this.worker.postMessage({ file, wasm }, [wasm.buffer]);
  }

  answer(id, answer) {
    this.waiting.get(id)?.(answer);
    this.waiting.delete(id);
  }

  /** Answers all requests with an error: the program has ended. */
  fail(message) {
    this.broken = { error: { kind: "the program ended", message } };
    for (const id of [...this.waiting.keys()]) this.answer(id, this.broken);
  }

  /** Returns the answer to a request, which may be an error. */
  ask(op, members) {
    if (this.broken !== null) return Promise.resolve(this.broken);
    this.last += 1;
    const id = this.last;
    this.worker.postMessage({ id, request: JSON.stringify({ op, ...members }) });
    return new Promise((resolve) => this.waiting.set(id, resolve));
  }

  close() {
    this.worker.terminate();
  }
}

/** Returns an error as text: its kind, its place, and the message. */
function inWords(error) {
  const at = error.offset === null || error.offset === undefined ? null : `at ${error.offset}`;
  const place = [error.block, at].filter(Boolean).join(" ");
  return `${error.kind}${place ? ` (${place})` : ""}: ${error.message}`;
}

const alertOf = (error) => make("p", { class: "alert" }, inWords(error));

/** A list of terms with their values; terms without a value are omitted. */
function terms(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined);
  const term = ([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
  return make("dl", {}, shown.map(term));
}

/** A table: columns of [title, class], and rows of cells. */
function grid(caption, columns, rows) {
  const head = columns.map(([title, kind]) => make("th", { scope: "col", class: kind }, title));
  const body = rows.map((cells) => {
    return make("tr", {}, cells.map((cell, at) => make("td", { class: columns[at][1] }, cell)));
  });
  return make("div", { class: "scroll" }, make("table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, head)), make("tbody", {}, body)));
}

const button = (text, click, attributes) => make("button", { type: "button", click, ...attributes }, text);

/** A form of labelled fields [id, label, hint] that calls `submit`. */
function searchForm(fields, name, submit) {
  const labels = fields.map(([id, label, hint]) => {
    const attributes = { id, placeholder: hint, autocomplete: "off", spellcheck: "false" };
    return make("label", {}, label, make("input", attributes));
  });
  return make("form", { submit: (event) => { event.preventDefault(); submit(); } },
    labels, make("button", { type: "submit" }, name));
}

/** Returns a 64-bit time with its date; HBase's greatest one has none. */
function dated(millis) {
  if (typeof millis === "string" || Math.abs(millis) > LAST_DATE) return String(millis);
  return new Date(millis).toISOString().replace("T", " ").replace("Z", "");
}

/** A heading, with a text beside it. */
const heading = (title, beside) =>
  make("h2", {}, make("span", {}, title), beside && make("small", { class: "note" }, beside));
