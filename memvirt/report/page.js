"use strict";
// The page's table: it sorts and filters the columns that stand in the page as JSON, and draws only the rows that are in sight.
(() => {
  const columns = JSON.parse(document.getElementById("data").textContent);
  const total = columns[0].values.length;
  const HEIGHT = 26, MARGIN = 3, BESIDE = 200; // pixels of a row; rows and pixels of columns drawn beyond what is in sight
  const collator = new Intl.Collator("en", { numeric: true });
  const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
  const element = (name, more = {}) => Object.assign(document.createElement(name), more);

  const written = (value) => (value === null ? "" : typeof value === "number" ? digits.format(value) : value);
  const compare = { ">": (a, b) => a > b, ">=": (a, b) => a >= b, "<": (a, b) => a < b, "<=": (a, b) => a <= b, "=": (a, b) => a === b };

  // A field's text as a test of a column's rows: >1.5, <=2, =0, 1..2, or a part of what is written.
  function reading(text, { values, texts }) {
    const range = /^(-?[\d.e+-]+?)\s*\.\.\s*(-?[\d.e+-]+)$/i.exec(text);
    if (range) return (row) => typeof values[row] === "number" && values[row] >= +range[1] && values[row] <= +range[2];
    const sign = /^(>=|<=|>|<|=)\s*(.+)$/.exec(text);
    if (sign && !Number.isNaN(+sign[2])) return (row) => typeof values[row] === "number" && compare[sign[1]](values[row], +sign[2]);
    if (sign && sign[1] === "=") return (row) => String(values[row]).toLowerCase() === sign[2];
    return (row) => texts[row].toLowerCase().includes(text);
  }

  // Each text's place among the different ones, which are few.
  function ranks(values) {
    const place = new Map([...new Set(values)].sort(collator.compare).map((text, rank) => [text, rank]));
    return values.map((text) => place.get(text));
  }

  // Rows by a column, from least to most, those without a value last; worked out once.
  function sorted(column) {
    if (!column.sorted) {
      const { values } = column;
      const known = [...values.keys()].filter((row) => values[row] !== null);
      const places = column.number ? values : ranks(values);
      const order = (a, b) => places[a] - places[b];
      column.sorted = [known.sort(order), [...values.keys()].filter((row) => values[row] === null)];
    }
    return column.sorted;
  }

  const state = { column: null, down: false, rows: [...Array(total).keys()] };
  const grid = document.getElementById("grid"), count = document.getElementById("count");
  const table = element("table"), head = element("thead"), body = element("tbody");
  const titles = element("tr"), fields = element("tr");
  for (const column of columns) {
    column.texts = column.values.map(written);
    const widest = column.texts.reduce((most, text) => Math.max(most, text.length), 6);
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
      column.test = text && reading(text, column);
      update();
    });
    const cell = element("td");
    cell.append(field);
    fields.append(cell);
    Object.assign(column, { head: title, field, test: null, from: 0, to: 0 });
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
    const passes = (row) => tests.every((column) => column.test(row));
    const all = [...(state.down ? known.toReversed() : known), ...unknown];
    state.rows = tests.length ? all.filter(passes) : all;
    count.textContent = state.rows.length.toLocaleString("en") + " of " + total.toLocaleString("en") + " rows";
    table.setAttribute("aria-rowcount", state.rows.length + 2);
    grid.scrollTop = 0;
    draw();
  }

  // The rows in sight, whose elements are made once and then filled with other texts; of columns out of sight they have none.
  const above = element("tr"), below = element("tr"), lines = [];
  for (const spacer of [above, below]) spacer.setAttribute("aria-hidden", "true");
  body.append(above, below);

  function line() {
    const made = element("tr");
    made.append(...columns.map((column) => element("td", { textContent: "-", className: column.number ? "number" : "" })));
    below.before(made);
    return { made, texts: [...made.children].map((cell) => cell.firstChild) };
  }

  function draw() {
    const first = Math.max(0, Math.floor(grid.scrollTop / HEIGHT) - MARGIN);
    const last = Math.max(first, Math.min(state.rows.length, first + Math.ceil(grid.clientHeight / HEIGHT) + 2 * MARGIN));
    const left = grid.scrollLeft - BESIDE, right = grid.scrollLeft + grid.clientWidth + BESIDE;
    const inSight = columns.map(({ from, to }) => from < right && to > left);
    while (lines.length < last - first) lines.push(line());
    for (const [place, { made, texts }] of lines.entries()) {
      const row = state.rows[first + place];
      made.hidden = first + place >= last;
      if (made.hidden) made.removeAttribute("aria-rowindex");
      else {
        made.setAttribute("aria-rowindex", first + place + 3);
        columns.forEach((column, at) => {
          const text = inSight[at] ? column.texts[row] : "";
          if (texts[at].data !== text) texts[at].data = text;
        });
      }
    }
    above.style.height = first * HEIGHT + "px";
    below.style.height = (state.rows.length - last) * HEIGHT + "px";
  }

  let waiting = false;
  grid.addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(() => ((waiting = false), draw()));
    waiting = true;
  });
  new ResizeObserver(() => {
    for (const column of columns) {
      column.from = column.head.offsetLeft;
      column.to = column.from + column.head.offsetWidth;
    }
    draw();
  }).observe(grid);
  document.getElementById("switch").addEventListener("click", (event) => {
    const plain = document.body.classList.toggle("plain");
    event.target.setAttribute("aria-pressed", String(plain));
    event.target.textContent = plain ? "Show as a table that sorts and filters" : "Show as a plain table";
  });
  document.body.classList.add("grid");
  document.querySelector(".tools").hidden = false;
  update();
})();
