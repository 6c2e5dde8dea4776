// Elements of the page, and tables whose cells can be pointed at, tapped or walked through with the arrow keys.

export function make(name, settings = {}, ...children) {
  const {data = {}, style = {}, ...attributes} = settings, x = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) x.setAttribute(key, "");
    else if (value !== false && value !== undefined) x.setAttribute(key, value);
  }
  Object.assign(x.dataset, data);
  for (const [key, value] of Object.entries(style)) x.style.setProperty(key, value);
  x.append(...children);
  return x;
}

export const byId = id => document.getElementById(id);

// rows, columns: labels, [text, data] each; cell(i, j): {text, data, style, class}. One cell is a Tab stop.
export function gridTable({caption, corner = "", rows, columns, cell, className = "grid", at = [0, 0]}) {
  const label = scope => ([text, data = {}]) => make("th", {scope, data}, make("span", {}, text));
  const head = make("tr", {}, make("td", {class: "corner"}, corner), ...columns.map(label("col")));
  const lines = rows.map((row, i) => {
    const cells = columns.map((_, j) => {
      const {text, ...settings} = cell(i, j);
      return make("td", {tabindex: i === at[0] && j === at[1] ? 0 : -1, ...settings}, text);
    });
    return make("tr", {}, label("row")(row), ...cells);
  });
  const words = make("caption", {}, ...[caption].flat());
  return make("table", {class: className}, words, make("thead", {}, head), make("tbody", {}, ...lines));
}

const MOVES = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};

function neighbour(cell, event) {
  const body = cell.closest("tbody"), i = cell.parentNode.sectionRowIndex, j = cell.cellIndex;
  if (event.key === "Home") return body.rows[event.ctrlKey ? 0 : i].cells[1];
  if (event.key === "End") return Array.from(body.rows[event.ctrlKey ? body.rows.length - 1 : i].cells).at(-1);
  const [down, right] = MOVES[event.key] ?? [0, 0];
  return (down || right) && j + right > 0 ? body.rows[i + down]?.cells[j + right] : null;
}

// Let `point(cell, why)` know of each cell that is pointed at, focused or tapped, `press(cell)` of one pressed again.
export function watchCells(container, point, press = () => {}) {
  const cellOf = event => event.target.closest("td[tabindex]");
  let current = null, before = null;
  const turnTo = cell => {
    if (cell && cell !== current) point(current = cell);
  };
  container.addEventListener("pointerover", event => event.pointerType !== "touch" && turnTo(cellOf(event)));
  container.addEventListener("pointerdown", () => { before = current; });
  container.addEventListener("focusin", event => turnTo(cellOf(event)));
  container.addEventListener("click", event => {
    const cell = cellOf(event);
    if (cell && cell === before) press(cell);
  });
  container.addEventListener("keydown", event => {
    const cell = cellOf(event);
    if (!cell) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return press(cell);
    }
    const next = neighbour(cell, event);
    if (!next) return;
    event.preventDefault();
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  return () => { current = before = null; };
}

// Make the cell under the pointer the table's Tab stop as well.
export function stopAt(cell) {
  for (const x of cell.closest("table").querySelectorAll('td[tabindex="0"]')) x.tabIndex = -1;
  cell.tabIndex = 0;
}
