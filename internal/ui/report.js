"use strict";
(() => {
  const table = document.getElementById("table"), body = table.tBodies[0], said = document.getElementById("said");
  const heads = [...table.tHead.rows[0].cells], all = [...body.rows];
  const form = document.getElementById("search"), query = document.getElementById("query");
  const order = new Intl.Collator("en", { numeric: true });
  let texts, shown = all.length, sorted = "those who need attention first";

  const say = () => { said.textContent = shown + " of " + all.length + " owners, " + sorted + "."; };

  const search = () => {
    texts ||= all.map(row => [...row.cells].map(cell => cell.textContent).join(" ").toLowerCase());
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = 0;
    all.forEach((row, i) => {
      const fits = words.every(word => texts[i].includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      if (fits) shown++;
    });
    say();
  };
  let timer;
  query.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 120); });
  form.addEventListener("submit", event => { event.preventDefault(); search(); });
  form.hidden = false;

  // A third press gives back the order of status.
  const sort = column => {
    const head = heads[column], now = head.getAttribute("aria-sort");
    const next = now === "ascending" ? "descending" : now === "descending" ? null : "ascending";
    heads.forEach(h => h.removeAttribute("aria-sort"));
    let rows = all;
    sorted = "those who need attention first";
    if (next) {
      head.setAttribute("aria-sort", next);
      sorted = "sorted by " + head.textContent + ", " + next;
      const number = "number" in head.dataset, turn = next === "ascending" ? 1 : -1;
      const keys = all.map(row => {
        const cell = row.cells[column], text = cell.textContent, v = cell.dataset.v ?? text;
        return { row, none: text === "-", v: number ? Number(v) : v };
      });
      const compare = number ? (a, b) => a - b : order.compare;
      keys.sort((a, b) => a.none - b.none || (a.none ? 0 : turn * compare(a.v, b.v)));
      rows = keys.map(key => key.row);
    }
    body.append(...rows);
    say();
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach(d => { d.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach(d => { d.open = false; }));
})();
