/**
 * Returns a function that shows items as the rows of a table body, with a cell for each of `columns`. A cell has the
 * classes of its column's header, and its text as a label for narrow screens, where a row is a card.
 *
 * A row stays the same element as long as its item is there, so that the focus, a selection and the pointer stay where
 * they are while numbers change.
 */
export function createRows(body, columns, keyOf) {
  const rows = new Map();
  const heads = [...body.parentElement.tHead.rows[0].cells];
  nameRoles(body.parentElement, heads);

  function rowOf(key) {
    const known = rows.get(key);
    if (known !== undefined) return known;
    const element = document.createElement("tr");
    element.role = "row";
    const cells = heads.map((head) => {
      const cell = element.insertCell();
      cell.role = "cell";
      cell.className = head.className;
      cell.dataset.label = head.textContent;
      return cell;
    });
    const row = { element, cells };
    rows.set(key, row);
    return row;
  }

  return (items) => {
    const focused = body.contains(document.activeElement) ? document.activeElement : undefined;
    const kept = new Set();
    let next = body.firstElementChild;
    for (const item of items) {
      const key = keyOf(item);
      kept.add(key);
      const { element, cells } = rowOf(key);
      for (const [at, column] of columns.entries()) column(cells[at], item);
      if (element === next) next = next.nextElementSibling;
      else body.insertBefore(element, next);
    }
    for (const [key, { element }] of rows) {
      if (kept.has(key)) continue;
      element.remove();
      rows.delete(key);
    }
    if (focused !== undefined && document.activeElement !== focused) focused.focus();
  };
}

/** Lays the rows of a table out as cards on screens that are narrower than its `data-cards`. */
export function cardsWhenNarrow(table) {
  const narrow = matchMedia(`(max-width: ${table.dataset.cards})`);
  const apply = () => table.classList.toggle("as-cards", narrow.matches);
  narrow.addEventListener("change", apply);
  apply();
}

/** Without its roles, a table whose rows are laid out as cards is no table for screen readers. */
function nameRoles(table, heads) {
  table.role = "table";
  for (const group of [table.tHead, ...table.tBodies]) group.role = "rowgroup";
  table.tHead.rows[0].role = "row";
  for (const head of heads) head.role = "columnheader";
}

/** Creates a column of texts; `titleOf` returns the tooltip. */
export function texts(textOf, titleOf = () => "") {
  return (cell, item) => {
    setText(cell, textOf(item));
    setTitle(cell, titleOf(item));
  };
}

/** Creates a column of two texts, one below the other; a tooltip shows text that does not fit. */
export function pairs(mainOf, subOf) {
  return (cell, item) => {
    const [main, sub] = [mainOf(item), subOf(item) ?? ""];
    if (cell.childElementCount === 0) {
      for (const name of ["main", "sub"])
        cell.append(Object.assign(document.createElement("span"), { className: name }));
    }
    setText(cell.firstElementChild, main);
    setText(cell.lastElementChild, sub);
    setTitle(cell, `${main} ${sub}`.trim());
  };
}

/** Creates a column of elements, which are made once for each row. */
export function elements(tag, update) {
  return (cell, item) => {
    const element = cell.firstElementChild ?? cell.appendChild(document.createElement(tag));
    update(element, item, cell);
  };
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setTitle(element, title) {
  if (element.title !== title) element.title = title;
}
