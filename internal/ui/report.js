"use strict";
(() => {
  const table = document.getElementById("table"), [body, rest] = table.tBodies, said = document.getElementById("said");
  const heads = [...table.tHead.rows[0].cells], all = [...table.tBodies].flatMap(part => [...part.rows]);
  const first = body.rows.length, more = document.getElementById("more");
  const form = document.getElementById("search"), query = document.getElementById("query");
  const compareTexts = new Intl.Collator("en", { numeric: true }).compare;
  let order = all, texts, words = [], sorted = "those who need attention first";

  // The first rows that fit are shown, and the others on demand.
  const show = () => {
    texts ||= new Map(all.map(row => [row, [...row.cells].map(cell => cell.textContent).join(" ").toLowerCase()]));
    const fits = row => words.every(word => texts.get(row).includes(word));
    const found = [], others = [];
    for (const row of order) {
      row.hidden = !fits(row);
      (row.hidden ? others : found).push(row);
    }
    body.replaceChildren(...found.slice(0, first));
    rest?.replaceChildren(...found.slice(first), ...others);
    if (!rest) body.append(...others);
    said.textContent = found.length + " of " + all.length + " owners, " + sorted + ".";
    offer(found.length);
  };
  const offer = found => {
    more.hidden = !rest || found <= first || table.classList.contains("whole");
    more.firstChild.textContent = "Show all " + found + ", not just " + first;
  };
  more.firstChild.addEventListener("click", () => {
    table.classList.add("whole");
    more.hidden = true;
    document.querySelector(".scroll").focus();
  });

  const search = () => { words = query.value.toLowerCase().split(/\s+/).filter(Boolean); show(); };
  let timer;
  query.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 120); });
  form.addEventListener("submit", event => { event.preventDefault(); search(); });
  form.hidden = false;
  offer(all.length);

  // A third press gives back the order of status.
  const sort = column => {
    const head = heads[column], now = head.getAttribute("aria-sort");
    const next = now === "ascending" ? "descending" : now === "descending" ? null : "ascending";
    heads.forEach(h => h.removeAttribute("aria-sort"));
    order = all;
    sorted = "those who need attention first";
    if (next) {
      head.setAttribute("aria-sort", next);
      sorted = "sorted by " + head.textContent + ", " + next;
      const number = "number" in head.dataset, turn = next === "ascending" ? 1 : -1;
      const keys = all.map(row => {
        const cell = row.cells[column], text = cell.textContent, v = cell.dataset.v ?? text;
        return { row, none: text === "-", v: number ? Number(v) : v };
      });
      const compare = number ? (a, b) => a - b : compareTexts;
      keys.sort((a, b) => a.none - b.none || (a.none ? 0 : turn * compare(a.v, b.v)));
      order = keys.map(key => key.row);
    }
    show();
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
