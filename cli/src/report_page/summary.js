// The first look: how much there is, and whether anything is wrong.

function summary() {
  const { tables, regions, total, errors, warnings, infos, unread, meta } = report.summary;
  const tile = (number, name, kind, more) => make("li", { class: kind },
    make("strong", {}, number), make("span", {}, name), more ? make("small", {}, more) : null);
  const newest = total.newest === null ? null : `newest ${ago(total.newest)}`;
  const noun = (number, name) => number === 1 ? name : `${name}s`;
  const places = [
    tile(count(tables), noun(tables, "table")),
    tile(count(regions), noun(regions, "region")),
  ];
  const tiles = [
    ...(isLoose() ? [] : places),
    tile(count(total.files), noun(total.files, "file")),
    tile(bytes(total.bytes), "in files"),
    tile(count(total.cells), noun(total.cells, "cell"), null, newest),
    tile(count(errors), noun(errors, "error"), errors > 0 ? "error" : null),
    tile(count(warnings), noun(warnings, "warning"), warnings > 0 ? "warning" : null, counted(infos, "info")),
  ];
  const parts = [make("ul", { class: "tiles" }, tiles)];
  const bad = [
    errors > 0 ? `${counted(errors, "error")}: reads or writes fail, or rows are missing.` : null,
    unread > 0 ? `${counted(unread, "part")} could not be read; the numbers are of the rest.` : null,
  ].filter(Boolean);
  if (bad.length > 0) {
    const jump = make("a", { href: "#findings" }, "Findings, and what to do");
    parts.push(make("p", { class: "alert" }, mark("error"), make("span", {}, bad.join(" "), " ", jump)));
  }
  if (report.kind === "root" && !meta) {
    const said = "There is no hbase:meta under the root: regions are those of the directories.";
    parts.push(make("p", { class: "note" }, said));
  }
  return parts;
}

const serves = (region) => region.serves;

/** The tables, the one that is shown marked. */
function tableList() {
  const columns = [
    { title: "Table", of: ([table, at]) => {
      const button = link(table.table, () => openTable(at, true));
      if (at === state.table) button.setAttribute("aria-current", "true");
      return button;
    } },
    { title: "Regions", kind: "number", of: ([{ regions }]) => count(regions.filter(serves).length) },
    ...totals(([table]) => table.total),
    { title: "Findings", of: ([table]) => severities(findingsOf(table.table)) },
  ];
  return table("Tables", columns, report.tables.map((table, at) => [table, at]));
}
