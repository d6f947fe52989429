"use strict";
// The page's table: it sorts and filters the columns that stand in the page as JSON, and draws only the rows that are in sight.
(() => {
  const columns = JSON.parse(document.getElementById("data").textContent);
  const total = columns[0].values.length;
  const HEIGHT = 26, MARGIN = 6; // pixels of a row; rows drawn beyond what is in sight
  const collator = new Intl.Collator("en", { numeric: true });
  const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
  const element = (name, more = {}) => Object.assign(document.createElement(name), more);

  const written = (value) => (value === null ? "" : typeof value === "number" ? digits.format(value) : value);
  const compare = { ">": (a, b) => a > b, ">=": (a, b) => a >= b, "<": (a, b) => a < b, "<=": (a, b) => a <= b, "=": (a, b) => a === b };

  // A field's text as a test of a value: >1.5, <=2, =0, 1..2, or a part of what is written.
  function reading(text) {
    const range = /^(-?[\d.e+-]+?)\s*\.\.\s*(-?[\d.e+-]+)$/i.exec(text);
    if (range) return (value) => typeof value === "number" && value >= +range[1] && value <= +range[2];
    const sign = /^(>=|<=|>|<|=)\s*(.+)$/.exec(text);
    if (sign && !Number.isNaN(+sign[2])) return (value) => typeof value === "number" && compare[sign[1]](value, +sign[2]);
    if (sign && sign[1] === "=") return (value) => String(value).toLowerCase() === sign[2];
    return (value) => written(value).toLowerCase().includes(text);
  }

  // Rows by a column, from least to most, those without a value last; worked out once.
  function sorted(column) {
    if (!column.sorted) {
      const { values } = column;
      const known = [...values.keys()].filter((row) => values[row] !== null);
      const order = column.number ? (a, b) => values[a] - values[b] : (a, b) => collator.compare(values[a], values[b]);
      column.sorted = [known.sort(order), [...values.keys()].filter((row) => values[row] === null)];
    }
    return column.sorted;
  }

  const state = { column: null, down: false, rows: [...Array(total).keys()] };
  const grid = document.getElementById("grid"), count = document.getElementById("count");
  const table = element("table"), head = element("thead"), body = element("tbody");
  const titles = element("tr"), fields = element("tr");
  for (const column of columns) {
    const widest = column.values.reduce((most, value) => Math.max(most, written(value).length), 6);
    const title = element("th", { scope: "col", title: column.tip, className: column.number ? "" : "text" });
    title.style.width = Math.min(Math.max(widest, column.title.length / 2) + 3, 30) + "ch";
    const button = element("button", { type: "button", textContent: column.title });
    button.addEventListener("click", () => sort(column));
    title.append(button);
    titles.append(title);
    const field = element("input", { type: "text", title: column.tip });
    field.setAttribute("aria-label", "filter " + column.title);
    field.addEventListener("input", () => {
      const text = field.value.trim().toLowerCase();
      column.test = text && reading(text);
      update();
    });
    const below = element("td");
    below.append(field);
    fields.append(below);
    Object.assign(column, { head: title, field, test: null });
  }
  head.append(titles, fields);
  table.append(head, body);
  table.setAttribute("aria-label", "results");
  table.style.width = "max-content";
  grid.append(table);

  function sort(column) {
    state.down = state.column === column && !state.down;
    if (state.column) state.column.head.removeAttribute("aria-sort");
    state.column = column;
    column.head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    update();
  }

  function update() {
    const [known, unknown] = state.column ? sorted(state.column) : [[...Array(total).keys()], []];
    const tests = columns.filter((column) => column.test);
    const passes = (row) => tests.every((column) => column.test(column.values[row]));
    const all = [...(state.down ? known.toReversed() : known), ...unknown];
    state.rows = tests.length ? all.filter(passes) : all;
    count.textContent = state.rows.length.toLocaleString("en") + " of " + total.toLocaleString("en") + " rows";
    table.setAttribute("aria-rowcount", state.rows.length + 2);
    grid.scrollTop = 0;
    draw();
  }

  function spacer(rows) {
    const line = element("tr");
    line.setAttribute("aria-hidden", "true");
    line.style.height = rows * HEIGHT + "px";
    return line;
  }

  function draw() {
    const first = Math.max(0, Math.floor(grid.scrollTop / HEIGHT) - MARGIN);
    const last = Math.min(state.rows.length, first + Math.ceil(grid.clientHeight / HEIGHT) + 2 * MARGIN);
    const lines = state.rows.slice(first, last).map((row, place) => {
      const line = element("tr");
      line.setAttribute("aria-rowindex", first + place + 3);
      line.append(...columns.map((column) => element("td", { textContent: written(column.values[row]), className: column.number ? "number" : "" })));
      return line;
    });
    body.replaceChildren(spacer(first), ...lines, spacer(state.rows.length - last));
  }

  let waiting = false;
  grid.addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(() => ((waiting = false), draw()));
    waiting = true;
  });
  new ResizeObserver(draw).observe(grid);
  document.getElementById("switch").addEventListener("click", (event) => {
    const plain = document.body.classList.toggle("plain");
    event.target.setAttribute("aria-pressed", String(plain));
    event.target.textContent = plain ? "Show as a table that sorts and filters" : "Show as a plain table";
  });
  document.body.classList.add("grid");
  document.querySelector(".tools").hidden = false;
  update();
})();
