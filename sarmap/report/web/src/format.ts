// Numbers in words.

export const number = (value: number, digits = 0): string =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const probability = (packed: number): string => (packed * 0.004).toFixed(packed % 25 ? 2 : 1);

/** Square metres in km², with as many digits as say something. */
export function km2(squareMetres: number): string {
  const value = squareMetres / 1e6;
  return number(value, value < 1 ? 3 : value < 100 ? 2 : 1);
}

export function kilometres(metres: number): string {
  return metres < 1000 ? `${number(metres)} m` : `${number(metres / 1000, metres < 1e5 ? 1 : 0)} km`;
}

export const percent = (share: number): string =>
  `${number(100 * share, share > 0 && share < 0.1 ? 1 : 0)} %`;

/** A place in degrees. */
export function place(lon: number, lat: number): string {
  const one = (value: number, names: string) =>
    `${Math.abs(value).toFixed(5)}° ${value >= 0 ? names[0] : names[1]}`;
  return `${one(lat, "NS")}, ${one(lon, "EW")}`;
}

/** A part of the page that its HTML holds. */
export function part<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page lacks #${id}`);
  return found as T;
}

/** A new element with attributes and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
