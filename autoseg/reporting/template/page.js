// Scans in sight come first; the others follow one by one while nothing else happens, so that a print shows them all.
function showScans() {
  const all = new Map([...document.querySelectorAll("figure.viewer")].map((figure) => [figure, new Scans(figure)]));
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) all.get(entry.target).start();
  }, {rootMargin: "400px"});
  for (const figure of all.keys()) near.observe(figure);
  window.addEventListener("load", async () => {
    for (const scans of all.values()) {
      await new Promise((resolve) => { setTimeout(resolve, 200); });
      await scans.start();
    }
  });
  return all;
}

// A cell's number: "0.912 (0.90 to 0.93)" is sorted by 0.912. What has none comes last, whichever way a column is sorted.
function numberIn(text) {
  const found = /^[-+]?[\d,]*\.?\d+/.exec(text.replace("\u2212", "-"));
  return found ? Number(found[0].replaceAll(",", "")) : NaN;
}

function sortRows(table, column, descending) {
  const body = table.tBodies[0], way = descending ? -1 : 1;
  const entries = [...body.rows].map((row) => ({row, text: row.cells[column].textContent}));
  const numeric = table.tHead.rows[0].cells[column].classList.contains("number");
  entries.sort((one, other) => {
    if (!numeric) return way * one.text.localeCompare(other.text, undefined, {numeric: true});
    const [first, second] = [numberIn(one.text), numberIn(other.text)];
    if (Number.isNaN(first) || Number.isNaN(second)) return Number.isNaN(first) - Number.isNaN(second);
    return way * (first - second);
  });
  body.append(...entries.map(({row}) => row));
  for (const [index, head] of [...table.tHead.rows[0].cells].entries()) {
    head.setAttribute("aria-sort", index !== column ? "none" : descending ? "descending" : "ascending");
  }
}

function offerSorting(table) {
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const button = element("button", {type: "button", className: "sort", textContent: head.textContent});
    button.addEventListener("click", () => sortRows(table, column, head.getAttribute("aria-sort") === "ascending"));
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
  }
}

function offerFilter(table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 8) return;
  const field = element("input", {type: "search", name: "filter", placeholder: "part of a name"});
  const count = element("span", {className: "count"});
  count.setAttribute("role", "status");
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const left = rows.filter((row) => !row.hidden).length;
    count.textContent = wanted ? `${left} of ${rows.length}` : "";
  });
  table.closest(".scroll").before(element("div", {className: "filter"}, [element("label", {}, ["Filter", field]), count]));
}

// Names of cases that can be looked at lead to where they are shown.
function linkCases(table, all) {
  const figure = document.getElementById(table.dataset.shownIn), scans = all.get(figure);
  if (!scans) return;
  for (const cell of table.querySelectorAll("th[data-shown]")) {
    const name = cell.textContent;
    const button = element("button", {type: "button", className: "look", textContent: name, title: "Look at this case"});
    button.addEventListener("click", () => {
      if (!scans.open(name)) return;
      figure.scrollIntoView({block: "nearest"});
      scans.list.focus({preventScroll: true});
    });
    cell.replaceChildren(button);
  }
}

function openForPrint() {
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open])")];
    for (const details of opened) details.open = true;
  });
  window.addEventListener("afterprint", () => { for (const details of opened) details.open = false; });
}

// The old command works on a page opened from a folder, where the new interface may be refused. What is copied is plain
// text: a paper needs none of the page's colours.
function offerCopies() {
  for (const button of document.querySelectorAll("button.copy")) {
    const source = document.getElementById(button.dataset.from);
    button.addEventListener("click", () => {
      window.getSelection().selectAllChildren(source);
      const take = (event) => { event.clipboardData.setData("text/plain", plainText(source)); event.preventDefault(); };
      document.addEventListener("copy", take);
      button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl-C";
      document.removeEventListener("copy", take);
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}

function plainText(source) {
  const text = source.querySelector("pre, p").textContent;
  const references = [...source.querySelectorAll("li")].map((entry, index) => `${index + 1}. ${entry.textContent}`);
  return [text, ...(references.length ? ["", ...references] : [])].join("\n");
}

function offerThemes() {
  const button = document.getElementById("theme"), choices = ["system", "light", "dark"];
  let chosen = 0;
  button.hidden = false;
  button.addEventListener("click", () => {
    chosen = (chosen + 1) % choices.length;
    if (chosen) document.documentElement.dataset.theme = choices[chosen];
    else delete document.documentElement.dataset.theme;
    button.textContent = `Colours: ${choices[chosen]}`;
  });
}

function markPlace() {
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, {rootMargin: "-20% 0px -70% 0px"});
  for (const section of document.querySelectorAll("main > section")) seen.observe(section);
}

// At the side the list is always open and has no handle; above the page it starts folded.
function foldSections() {
  const details = document.querySelector("nav details"), wide = window.matchMedia("(min-width: 1000px)");
  details.open = wide.matches;
  wide.addEventListener("change", () => { details.open = wide.matches; });
}

offerThemes();
offerCopies();
foldSections();
markPlace();
openForPrint();
const scans = showScans();
for (const table of document.querySelectorAll("table.sortable")) {
  offerSorting(table);
  offerFilter(table);
  if (table.dataset.shownIn) linkCases(table, scans);
}
