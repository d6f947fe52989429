"use strict";
// The table of the page: Tabulator over the rows that stand in it as JSON.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const compare = { ">": (a, b) => a > b, ">=": (a, b) => a >= b, "<": (a, b) => a < b, "<=": (a, b) => a <= b, "=": (a, b) => a === b };

  // A field's text, as a test of a cell: >1.5, <=2, =0, 1..2, or a part of what stands there.
  function reading(text) {
    const range = /^\s*(-?[\d.e+-]+?)\s*\.\.\s*(-?[\d.e+-]+)\s*$/i.exec(text);
    if (range) return (value) => typeof value === "number" && value >= +range[1] && value <= +range[2];
    const sign = /^\s*(>=|<=|>|<|=)\s*(.+?)\s*$/.exec(text);
    if (sign) {
      const number = Number(sign[2]);
      if (!Number.isNaN(number)) return (value) => typeof value === "number" && compare[sign[1]](value, number);
      if (sign[1] === "=") return (value) => String(value).toLowerCase() === sign[2].toLowerCase();
    }
    const part = text.trim().toLowerCase();
    return (value) => value !== null && String(value).toLowerCase().includes(part);
  }
  const readings = new Map();
  function passes(text, value) {
    if (!readings.has(text)) readings.set(text, reading(String(text)));
    return readings.get(text)(value);
  }

  const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
  function written(cell) {
    const value = cell.getValue();
    const text = value === null ? "" : typeof value === "number" ? digits.format(value) : String(value);
    return document.createTextNode(text); // never as HTML
  }
  // Numbers by size, texts by alphabet, nothing last either way.
  function order(a, b, rowA, rowB, column, direction) {
    if (a === null || b === null) return ((a === null) - (b === null)) * (direction === "asc" ? 1 : -1);
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  }
  function heading(title) {
    return () => document.createTextNode(title);
  }

  const rows = data.rows.map((row, number) => {
    const found = { id: number };
    row.forEach((value, place) => (found["c" + place] = value));
    return found;
  });
  const grid = document.getElementById("grid");
  const count = document.getElementById("count");
  const table = new Tabulator(grid, {
    data: rows,
    height: "32rem",
    layout: "fitDataFill",
    renderVertical: "virtual",
    renderHorizontal: "virtual",
    nestedFieldSeparator: false,
    columnDefaults: { headerFilterLiveFilterDelay: 150, minWidth: 84, headerWordWrap: true, tooltip: false },
    columns: data.columns.map((column, place) => ({
      title: column.title,
      field: "c" + place,
      titleFormatter: heading(column.title),
      headerTooltip: () => column.tip,
      hozAlign: column.number ? "right" : "left",
      sorter: order,
      formatter: written,
      headerFilter: "input",
      headerFilterFunc: passes,
      headerFilterParams: { elementAttributes: { "aria-label": "filter " + column.title, title: column.tip } },
    })),
  });
  function tell() {
    count.textContent = table.getDataCount("active").toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " rows";
  }
  table.on("tableBuilt", () => {
    grid.setAttribute("aria-label", "results");
    grid.setAttribute("aria-rowcount", rows.length);
    for (const head of grid.querySelectorAll(".tabulator-col[role=columnheader]")) {
      head.tabIndex = 0;
      head.addEventListener("keydown", (event) => {
        if (event.target === head && (event.key === "Enter" || event.key === " ")) {
          event.preventDefault();
          const sorted = table.getSorters().find((each) => each.field === head.getAttribute("tabulator-field"));
          table.setSort(head.getAttribute("tabulator-field"), sorted && sorted.dir === "asc" ? "desc" : "asc");
        }
      });
    }
    tell();
    document.body.classList.add("grid");
    document.querySelector(".tools").hidden = false;
  });
  table.on("dataFiltered", () => setTimeout(tell));
  document.getElementById("switch").addEventListener("click", (event) => {
    const plain = document.body.classList.toggle("plain");
    event.target.setAttribute("aria-pressed", String(plain));
    event.target.textContent = plain ? "Show as a table that sorts and filters" : "Show as a plain table";
    if (!plain) table.redraw();
  });
  window.memvirt = { table }; // for tests
})();
