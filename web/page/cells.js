// Pages of cells, found by seeking.

const PAGE = 50;

/** Returns a value as text or as hexadecimal digits. */
function valueText(text, form) {
  if (form === "text") return text;
  return [...decode(text)].map((one) => one.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
}

function cellTable(cells, caption, form) {
  const columns = [
    ["Row", "row"], ["Column", "column"], ["Time (UTC)", "time"], ["Type", "kind"], ["Value", "value"],
    ["Sequence id", "number"], ["Tags", ""],
  ];
  const rows = cells.map((cell) => {
    const length = cell.value_length;
    const more = length !== undefined && make("span", { class: "note" }, ` … ${counted(length, "byte")}`);
    const tags = (cell.tags ?? []).map((tag) => {
      return make("div", {}, `${tag.type}: `, make("code", {}, tag.value));
    });
    return [
      make("code", {}, cell.row), make("code", {}, `${cell.family}:${cell.qualifier}`),
      make("span", { title: String(cell.timestamp) }, dated(cell.timestamp)), cell.type,
      [make("code", {}, valueText(cell.value, form)), more],
      cell.sequence_id === undefined ? NONE : String(cell.sequence_id), tags,
    ];
  });
  return grid(caption, columns, rows);
}

/** The section of the cells. */
class Cells {
  constructor(reader) {
    this.reader = reader;
    this.answer = null;
    const fields = [["row", "Row, or its beginning", "row\\x00"], ["column", "Column", "family:qualifier"]];
    const form = searchForm(fields, "Search", () => this.search());
    const select = make("select", { id: "form", change: () => this.answer && this.draw() },
      make("option", { value: "text" }, "as text"), make("option", { value: "hex" }, "as hex"));
    show(byId("cells"), heading("Cells"), form,
      make("div", { class: "buttons" },
        button("First", () => this.go({}), { id: "first" }),
        button("Previous page", () => this.previous(), { id: "previous", disabled: true }),
        button("Next page", () => this.go(this.answer.next), { id: "next", disabled: true }),
        make("label", {}, "Values ", select)),
      make("div", { id: "found", role: "status" }));
    this.go({});
  }

  search() {
    const column = byId("column").value;
    return this.go({ row: byId("row").value, ...column === "" ? {} : { column } });
  }

  async previous() {
    const first = this.answer.cells[0];
    if (first) await this.go({ before: first });
  }

  /** Shows a page. A page before the first is not shown. */
  async go(members) {
    const answer = await this.reader.ask("cells", { ...members, limit: PAGE });
    if (members.before && !answer.error && answer.cells.length === 0) {
      byId("previous").disabled = true;
      return;
    }
    this.answer = { cells: [], next: null, ...answer };
    this.draw();
    byId("previous").disabled = this.answer.cells.length === 0 || Object.keys(members).length === 0;
  }

  draw() {
    const { cells, next, error } = this.answer;
    byId("next").disabled = !next;
    const end = next ? "" : error ? ", up to damage" : ", the last of the file";
    const caption = cells.length === 0 ? "No cells" : `${counted(cells.length, "cell")}${end}`;
    show(byId("found"), cellTable(cells, caption, byId("form").value), error && alertOf(error));
  }
}
