/** Figures as text. */

export function usd(amount: number): string {
  const digits = Math.abs(amount) >= 1 || amount === 0 ? 2 : 4;
  return amount.toLocaleString("en", {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** The same for an axis: no more digits than the tick has. */
export function usdTick(amount: string | number): string {
  return Number(amount).toLocaleString("en", {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: 2,
    maximumFractionDigits: 4,
  });
}

export function count(number: number): string {
  return number.toLocaleString("en");
}

export function percent(share: number, digits = 0): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A share of a whole, nothing where there is none. */
export function shareOf(part: number, whole: number): string {
  return whole > 0 ? percent(part / whole) : "–";
}

export function date(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

export function sum<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
