/** Elements of the page; whatever comes from the database is put in as text. */

type Content = string | Node;

export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  ...content: Content[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  made.append(...content);
  return made;
}

/** A table whose first column names the row. */
export interface Table {
  caption: string;
  head: string[];
  rows: string[][];
}

/** A table; one that is too wide can be scrolled, by keyboard as well. */
export function table({ caption, head, rows }: Table): HTMLElement {
  const cells = head.map((title, column) => {
    const cell = element("th", title);
    cell.scope = "col";
    cell.classList.toggle("number", rows.length > 0 && rows.every((row) => isFigure(row[column] ?? "")));
    return cell;
  });
  const lines = rows.map((row) => element("tr", ...row.map((text, column) => tableCell(text, column))));
  const made = element(
    "table",
    element("caption", caption),
    element("thead", element("tr", ...cells)),
    element("tbody", ...lines),
  );
  const region = element("div", made);
  region.className = "scroll";
  region.tabIndex = 0;
  region.setAttribute("role", "region");
  region.setAttribute("aria-label", caption);
  return region;
}

function tableCell(text: string, column: number): HTMLElement {
  if (column > 0) {
    const cell = element("td", text);
    cell.classList.toggle("number", isFigure(text));
    return cell;
  }
  const cell = element("th", text);
  cell.scope = "row";
  return cell;
}

function isFigure(text: string): boolean {
  return /^(–|-?\$?[\d.,]+( %)?)$/.test(text);
}
