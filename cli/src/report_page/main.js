// What is shown: a table, a region of it, a file of that.

const report = JSON.parse(byId("data").textContent);
const state = { table: null, region: null, file: null };

const SECTIONS = [
  ["summary", "Summary"], ["tables", "Tables"], ["table", "Regions"], ["region", "Files"], ["cells", "Cells"],
  ["findings", "Findings"],
];

const shownTable = () => report.tables[state.table] ?? null;
const shownRegion = () => shownTable()?.regions[state.region] ?? null;
const shownFile = () => shownRegion()?.files[state.file] ?? null;

/** The place of the greatest by a number. */
function greatest(items, number) {
  let best = null;
  items.forEach((item, at) => {
    if (best === null || number(item) > number(items[best])) best = at;
  });
  return best;
}

/** The room for a picture in a section, in pixels. */
function widthOf(id) {
  const padding = parseFloat(getComputedStyle(byId(id)).paddingLeft) || 0;
  return Math.max(280, Math.floor(byId(id).clientWidth - 2 * padding));
}

/** Whether the files are in no region. */
const isLoose = () => report.tables.some((shown) => shown.table === null);

function drawTable() {
  if (isLoose()) return;
  const shown = shownTable();
  const none = make("p", { class: "note" }, "There are no tables.");
  show(byId("table"), shown ? tableSection(shown, widthOf("table")) : none);
  show(byId("tables"), make("h2", {}, make("span", {}, "Tables")), tableList());
}

function drawRegion() {
  const region = shownRegion();
  byId("region").hidden = region === null;
  if (region === null) return show(byId("region"));
  const width = widthOf("region");
  const file = shownFile();
  const parts = regionSection(shownTable(), region, width);
  if (file !== null) {
    const beside = width > 900 ? width - 340 : width;
    const attributes = { id: "file", tabindex: "-1", "aria-label": "File" };
    parts.push(make("section", attributes, fileSection(region, file, beside)));
  }
  return show(byId("region"), parts);
}

/** Moves the focus to the first element that exists. */
function focus(...ids) {
  const element = ids.map(byId).find((found) => found !== null);
  element?.focus({ preventScroll: true });
  element?.scrollIntoView({ block: "nearest" });
}

function drawAll() {
  drawTable();
  drawRegion();
}

/** Opens the largest region of a table and its largest file. */
function openTable(at, focused) {
  state.table = at;
  const shown = shownTable();
  const size = (region) => region.serves ? region.total.bytes + 1 : 0;
  state.region = shown ? greatest(shown.regions, size) : null;
  state.file = shownRegion() ? greatest(shownRegion().files, (file) => file.bytes) : null;
  drawAll();
  show(byId("cells"), shown ? cellSection(shown) : null);
  if (focused) focus(`region-${state.region}`);
}

/** Opens a region. The focus moves to it in the strip, or to its first file. */
function openRegion(at, focused) {
  [state.region, state.file] = [at, null];
  drawAll();
  if (focused === "region") byId(`region-${at}`)?.focus({ preventScroll: true });
  else focus(`file-${shownRegion().files.findIndex((_, file) => byId(`file-${file}`) !== null)}`, "region");
}

/** Opens a file. The focus moves to an element. */
function openFile(at, focused) {
  state.file = at;
  drawRegion();
  if (focused === "file") focus("file");
  else byId(focused)?.focus({ preventScroll: true });
}

function closeFile() {
  const at = state.file;
  state.file = null;
  drawRegion();
  focus(`file-${at}`, "region");
}

function closeRegion() {
  const at = state.region;
  [state.region, state.file] = [null, null];
  drawAll();
  focus(`region-${at}`, "table");
}

const THEMES = { auto: "Colours: system", light: "Colours: light", dark: "Colours: dark" };

function setTheme(theme) {
  const button = byId("theme");
  button.dataset.theme = theme;
  button.textContent = THEMES[theme];
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function start() {
  document.title = printable(`${report.target} – hregion report`);
  const about = ` (${report.kind}), ${time(report.now)} UTC, hregion ${report.hregion}`;
  show(byId("about"), make("code", {}, report.target), about);
  const sections = SECTIONS.map(([id, name]) => make("section", { id, tabindex: "-1", "aria-label": name }));
  show(byId("page"), sections);
  byId("tables").hidden = report.tables.length < 2;
  byId("table").hidden = isLoose();
  const links = SECTIONS.filter(([id]) => !byId(id).hidden);
  show(byId("sections"), links.map(([id, name]) => make("a", { href: `#${id}` }, name)));
  indexFindings();
  show(byId("summary"), summary());
  show(byId("findings"), findingSection());
  const size = (table) => table.table?.startsWith("hbase:") ? -1 : table.total.bytes;
  openTable(greatest(report.tables, size), false);
  setTheme("auto");
  byId("theme").addEventListener("click", () => {
    const themes = Object.keys(THEMES);
    setTheme(themes[(themes.indexOf(byId("theme").dataset.theme) + 1) % themes.length]);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (shownFile() !== null) closeFile();
    else if (shownRegion() !== null && !isLoose()) closeRegion();
  });
  let width = byId("page").clientWidth;
  new ResizeObserver(() => {
    if (byId("page").clientWidth === width) return;
    width = byId("page").clientWidth;
    drawAll();
  }).observe(byId("page"));
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
  });
}

start();
