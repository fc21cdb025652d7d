// What is wrong, and what to do.

const SEVERITIES = ["error", "warning", "info"];
const SIGNS = { error: "✖", warning: "▲", info: "●" };

/** A sign of a severity, with its name for readers of the screen. */
function mark(severity, name = severity) {
  return make("span", { class: `sign ${severity}`, role: "img", "aria-label": name }, SIGNS[severity]);
}

/** Findings by table and region. */
const byPlace = new Map();

const place = (table, region) => JSON.stringify([table, region ?? null]);

function indexFindings() {
  for (const finding of report.findings) {
    const places = [place(finding.table)];
    if (finding.region !== null) places.push(place(finding.table, finding.region));
    for (const key of places) {
      if (!byPlace.has(key)) byPlace.set(key, []);
      byPlace.get(key).push(finding);
    }
  }
}

const findingsOf = (table, region) => byPlace.get(place(table, region)) ?? [];

const worstOf = (findings) =>
  SEVERITIES.find((severity) => findings.some((finding) => finding.severity === severity)) ?? null;

/** The numbers of findings by severity, with their signs. */
function severities(findings) {
  const number = (severity) => findings.filter((finding) => finding.severity === severity).length;
  const some = SEVERITIES.filter((severity) => number(severity) > 0);
  return some.length === 0 ? "none" : some.flatMap((severity) => [mark(severity), ` ${number(severity)} `]);
}

function findingSection() {
  const heading = make("h2", {}, make("span", {}, "Findings"));
  const parts = [heading];
  if (report.findings.length === 0) {
    const isChecked = ["root", "namespace", "table"].includes(report.kind);
    const said = isChecked ? "The check has found nothing. It reads no cells: hregion verify does."
      : "Only tables are checked. hregion verify reads and checks all cells.";
    parts.push(make("p", { class: "note" }, said));
  } else {
    const list = make("div");
    const wanted = new Set(SEVERITIES);
    const buttons = SEVERITIES.map((severity) => {
      const number = report.findings.filter((finding) => finding.severity === severity).length;
      const attributes = { type: "button", class: "filter", "aria-pressed": "true", disabled: number === 0 };
      const button = make("button", attributes,
        mark(severity), ` ${counted(number, severity)}`);
      button.addEventListener("click", () => {
        if (!wanted.delete(severity)) wanted.add(severity);
        button.setAttribute("aria-pressed", String(wanted.has(severity)));
        show(list, findingTable(wanted));
      });
      return button;
    });
    show(list, findingTable(wanted));
    parts.push(make("p", { class: "filters" }, buttons), list);
  }
  if (report.unread.length > 0) {
    parts.push(table("Could not be read", [
      { title: "What", kind: "kind", of: (fault) => [mark("error"), " ", fault.kind] },
      { title: "Path", kind: "place", of: (fault) => fault.path ?? NONE },
      { title: "At", kind: "number", of: (fault) => count(fault.offset) },
      { title: "Message", kind: "message", of: (fault) => messageOf(fault.message) },
    ], report.unread));
  }
  return parts;
}

function findingTable(wanted) {
  const order = (finding) => SEVERITIES.indexOf(finding.severity);
  const rows = report.findings.filter((finding) => wanted.has(finding.severity))
    .sort((a, b) => order(a) - order(b));
  const columns = [
    { title: "Kind", kind: "kind", of: (finding) => [mark(finding.severity), " ", finding.kind] },
    {
      title: "Where", kind: "place",
      of: (finding) => [whereOf(finding), make("div", { class: "path" }, finding.path)],
    },
    { title: "What was found", kind: "message", of: (finding) => messageOf(finding.message) },
    { title: "What to do", kind: "message", of: (finding) => messageOf(finding.fix) },
  ];
  return table("Findings of the check", columns, rows);
}

/** A message, which can have keys of 32 KiB. */
const messageOf = (text) => make("span", { title: text.length > 400 ? text : null }, shortened(text, 400));

/** The table or region of a finding, which opens it if it is shown. */
function whereOf({ table: name, region }) {
  if (name === null) return "the root";
  const at = report.tables.findIndex((shown) => shown.table === name);
  if (at < 0) return name;
  const inside = report.tables[at].regions.findIndex((one) => one.encoded === region);
  if (inside < 0) return link(name, () => openTable(at, true));
  return [name, " ", link(region, () => { openTable(at, false); openRegion(inside, "files"); })];
}
