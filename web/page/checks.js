// Lookups in the Bloom filters, and the verification.

/** Shows the answer of a filter, and whether it is correct. */
function verdict(may, found, what, filter) {
  if (may === null) return null;
  const said = may ? "may be in the file" : "is not in the file";
  const there = may ? " It is not there: a false positive." : "";
  const truth = found === null ? "" : found ? " It is there." : there;
  return make("p", { class: "answer" }, `${filter}: the ${what} `, make("strong", {}, said), `.${truth}`);
}

function drawBloom(reader, summary) {
  const ask = async () => {
    const [row, column] = [byId("bloom-row").value, byId("bloom-column").value];
    const answer = await reader.ask("bloom", { row, ...column === "" ? {} : { column } });
    if (answer.error && answer.bloom_type === undefined) return show(byId("says"), alertOf(answer.error));
    const ofRow = column === "" ? answer.found : null;
    const parts = [
      column === "" ? null : verdict(answer.may_contain_column, answer.found, "column", answer.bloom_type),
      verdict(answer.may_contain_row, ofRow, "row", answer.bloom_type),
      verdict(answer.may_contain_delete_family, null, "deletion of a family of the row", "Deleted families"),
    ].filter(Boolean);
    const none = answer.bloom_type === "ROWCOL" ? "The filter is for columns: give a column."
      : "The file has no filter that can decide this.";
    return show(byId("says"), parts.length > 0 ? parts : make("p", { class: "note" }, none),
      answer.error && alertOf(answer.error), answer.warnings.map(alertOf));
  };
  const fields = [["bloom-row", "Row", "row\\x00"], ["bloom-column", "Column", "family:qualifier"]];
  show(byId("bloom"), heading("Bloom filter", summary.bloom_type ?? "none"), searchForm(fields, "Ask", ask),
    make("div", { id: "says", role: "status" }));
}

/** Verifies the file in a separate worker, so that the other views stay usable. */
function drawVerify(file) {
  let running = null;
  const bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": "Verified" });
  const stop = () => {
    running?.close();
    running = null;
    bar.hidden = true;
    byId("verify-start").disabled = false;
    byId("verify-stop").disabled = true;
  };
  const start = async () => {
    byId("verify-start").disabled = true;
    byId("verify-stop").disabled = false;
    show(byId("faults"));
    [bar.value, bar.hidden] = [0, false];
    running = new Reader(file, (done, all) => { bar.value = all > 0 ? done / all : 0; });
    const answer = await running.ask("verify", {});
    stop();
    if (answer.error) return show(byId("faults"), alertOf(answer.error));
    const checked = `${counted(answer.blocks, "block")} and ${counted(answer.cells, "cell")} are sound; `;
    const { faults } = answer;
    const rows = faults.map((fault) => [count(fault.offset), fault.block ?? NONE, fault.kind, fault.message]);
    const found = make("strong", {}, counted(rows.length, "fault"));
    const result = make("p", { class: "answer" }, checked, found, ".");
    const columns = [["Offset", "number"], ["Block", "kind"], ["Kind", "kind"], ["Message", ""]];
    const list = grid("Faults", columns, rows);
    return show(byId("faults"), result, rows.length > 0 && list);
  };
  show(byId("verify"), heading("Verify"),
    make("p", {}, "Reads and checks the whole file, and lists every fault."),
    make("div", { class: "buttons" }, button("Verify", start, { id: "verify-start" }),
      button("Stop", stop, { id: "verify-stop", disabled: true }), bar),
    make("div", { id: "faults", role: "status" }));
  return stop;
}
