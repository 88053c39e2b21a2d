"use strict";
// Without this script the page is whole: tables stand in their own order, and the contents do not follow the eye.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  if (rows.length < 2) continue;
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.title = "sort by this column";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const wanted = before === "descending" ? "ascending" : before === "ascending" ? null : "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      const sign = wanted === "ascending" ? 1 : -1;
      const key = (row) => row.cells[column].dataset.key;
      const order = rows.slice();
      if (wanted) {
        head.setAttribute("aria-sort", wanted);
        order.sort((a, b) => {
          const x = key(a), y = key(b);
          if (x === "" || y === "") return (x === "") - (y === "");  // what is missing stands last
          const numbers = !isNaN(x) && !isNaN(y);
          return sign * (numbers ? x - y : x.localeCompare(y));
        });
      }
      for (const row of order) row.classList.toggle("rule", !wanted && row.dataset.rule === "1");
      body.append(...order);
    });
  });
  for (const row of rows) if (row.classList.contains("rule")) row.dataset.rule = "1";
}
const links = new Map(Array.from(document.querySelectorAll("nav a"), (link) => [link.hash.slice(1), link]));
if ("IntersectionObserver" in window) {
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.classList.remove("here");
      links.get(entry.target.id)?.classList.add("here");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const section of document.querySelectorAll("main > section")) seen.observe(section);
}
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
});
