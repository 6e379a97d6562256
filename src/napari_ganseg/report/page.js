"use strict";
const table = document.querySelector("table");
const rows = [...table.tBodies[0].rows];
const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

function key(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent;
}

function compare(a, b, isNumber) {
  return isNumber ? Number(a) - Number(b) : words.compare(a, b);
}

function sort(heading) {
  const column = heading.cellIndex;
  const isNumber = heading.classList.contains("number");
  const isFirst = heading.getAttribute("aria-sort") === "none";
  const isRising = isFirst ? !isNumber : heading.getAttribute("aria-sort") === "descending";
  for (const other of heading.parentNode.cells) if (other.ariaSort !== null) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", isRising ? "ascending" : "descending");
  const sorted = rows.map((row) => [key(row, column), row]).sort(([a], [b]) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    return compare(a, b, isNumber) * (isRising ? 1 : -1);
  });
  table.tBodies[0].append(...sorted.map(([, row]) => row));
}

for (const heading of table.tHead.rows[0].cells) {
  heading.querySelector("button")?.addEventListener("click", () => sort(heading));
}

const dialog = document.querySelector("dialog");
for (const planes of document.querySelectorAll(".planes")) {
  planes.addEventListener("click", () => {
    const title = document.createElement("h3");
    title.textContent = planes.closest("tr").cells[0].textContent;
    dialog.querySelector("div").replaceChildren(title, ...[...planes.children].map((plane) => plane.cloneNode(true)));
    dialog.showModal();
  });
}
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

const search = document.querySelector("input[type=search]");
search.addEventListener("input", () => {
  const wanted = search.value.trim().toLowerCase();
  for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  document.querySelector(".none").hidden = rows.some((row) => !row.hidden);
});
