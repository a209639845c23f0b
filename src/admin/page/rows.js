/**
 * Returns a function that shows items as the rows of a table body, with a cell for each of `columns`.
 *
 * A row stays the same element as long as its item is there, so that the focus, a selection and the pointer stay where
 * they are while numbers change.
 */
export function createRows(body, columns, keyOf) {
  const rows = new Map();

  function rowOf(key) {
    const known = rows.get(key);
    if (known !== undefined) return known;
    const element = document.createElement("tr");
    const cells = columns.map(({ className }) => {
      const cell = element.insertCell();
      if (className) cell.className = className;
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
      for (const [at, column] of columns.entries()) column.show(cells[at], item);
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

/** Creates a column of texts. */
export function texts(textOf, { className = "", title = false } = {}) {
  return {
    className,
    show(cell, item) {
      const text = textOf(item);
      if (cell.textContent !== text) cell.textContent = text;
      if (title && cell.title !== text) cell.title = text;
    },
  };
}

/** Creates a column of elements, which are made once for each row. */
export function elements(tag, update, { className = "" } = {}) {
  return {
    className,
    show(cell, item) {
      const element = cell.firstElementChild ?? cell.appendChild(document.createElement(tag));
      update(element, item, cell);
    },
  };
}
