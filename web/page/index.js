// The tree of the index; each node is read when it is opened.

const ENTRIES = 100;

/** Returns a list of the entries of an index block. */
async function indexEntries(reader, path, from = 0) {
  const answer = await reader.ask("index", { path, from, limit: ENTRIES });
  if (answer.error) return [make("li", {}, alertOf(answer.error))];
  const items = answer.entries.map((entry, at) => {
    const text = entry.key === null ? "a key that is too long" : shortened(keyText(entry.key), 90);
    const key = make("code", {}, text);
    const label = [key, ` at ${entry.offset}, ${bytes(entry.size)}`];
    if (answer.data) {
      const open = () => showCells({ key: entry.key });
      const cells = entry.key !== null && link("Cells", open, `Cells of the block at ${entry.offset}`);
      return make("li", {}, cells, " ", label);
    }
    const inner = make("ul", {});
    const details = make("details", {}, make("summary", {}, label), inner);
    details.addEventListener("toggle", async () => {
      if (!details.open || inner.childElementCount > 0) return;
      show(inner, await indexEntries(reader, [...path, from + at]));
    });
    return make("li", {}, details);
  });
  const next = from + answer.entries.length;
  const rest = answer.count - next;
  if (rest > 0) {
    const more = make("li", {}, button(`${count(rest)} more`, async () => {
      more.replaceWith(...await indexEntries(reader, path, next));
    }));
    items.push(more);
  }
  return items;
}

async function drawIndex(reader, summary) {
  const entries = await indexEntries(reader, []);
  const none = make("p", { class: "note" }, "The file has no cells.");
  show(byId("index"), heading("Index", counted(summary.levels, "level")),
    make("div", { class: "tree" }, entries.length === 0 ? none : make("ul", {}, entries)));
}
