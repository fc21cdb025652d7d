// The first look: how much there is, and whether anything is wrong.

function summary() {
  const { tables, regions, total, errors, warnings, infos, unread, meta } = report.summary;
  const tile = (number, name, kind, more) => make("li", { class: kind },
    make("strong", {}, number), make("span", {}, name), more ? make("small", {}, more) : null);
  const tiles = [
    tile(count(tables), tables === 1 ? "table" : "tables"),
    tile(count(regions), regions === 1 ? "region" : "regions"),
    tile(count(total.files), total.files === 1 ? "file" : "files"),
    tile(bytes(total.bytes), "in files"),
    tile(count(total.cells), total.cells === 1 ? "cell" : "cells", null, total.newest === null ? null : `newest ${ago(total.newest)}`),
    tile(count(errors), errors === 1 ? "error" : "errors", errors > 0 ? "error" : null),
    tile(count(warnings), warnings === 1 ? "warning" : "warnings", warnings > 0 ? "warning" : null, `${counted(infos, "info")}`),
  ];
  const parts = [make("ul", { class: "tiles" }, tiles)];
  const bad = [
    errors > 0 ? `${counted(errors, "error")}: reads or writes fail, or rows are missing.` : null,
    unread > 0 ? `${count(unread)} times something could not be read; numbers are of the rest.` : null,
  ].filter(Boolean);
  if (bad.length > 0) {
    const jump = make("a", { href: "#findings" }, "Findings, and what to do");
    parts.push(make("p", { class: "alert" }, mark("error"), make("span", {}, bad.join(" "), " ", jump)));
  }
  if (report.kind === "root" && !meta) {
    parts.push(make("p", { class: "note" }, "There is no hbase:meta under the root: regions are those of the directories."));
  }
  return parts;
}

/** The tables, the one that is shown marked. */
function tableList() {
  const columns = [
    { title: "Table", of: ([table, at]) => {
      const button = link(table.table, () => openTable(at, true));
      if (at === state.table) button.setAttribute("aria-current", "true");
      return button;
    } },
    { title: "Regions", kind: "number", of: ([table]) => count(table.regions.filter((region) => region.serves).length) },
    ...totals(([table]) => table.total),
    { title: "Findings", of: ([table]) => severities(findingsOf(table.table)) },
  ];
  return table("Tables", columns, report.tables.map((table, at) => [table, at]));
}
