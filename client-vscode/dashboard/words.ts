/** Figures as text. */

/** Made once: making one takes longer than a thousand figures. */
function dollars(fewest: number, most = fewest): Intl.NumberFormat {
  return new Intl.NumberFormat("en", {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: fewest,
    maximumFractionDigits: most,
  });
}
const CENTS = dollars(2);
const PARTS = dollars(4);
const TICK = dollars(2, 4);
const COUNT = new Intl.NumberFormat("en");

export function usd(amount: number | null): string {
  if (amount === null) {
    return "not known";
  }
  return (Math.abs(amount) >= 1 || amount === 0 ? CENTS : PARTS).format(amount);
}

/** The same for an axis: no more digits than the tick has. */
export function usdTick(amount: string | number): string {
  return TICK.format(Number(amount));
}

export function count(number: number): string {
  return COUNT.format(number);
}

export function percent(share: number, digits = 0): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A share of a whole, nothing where there is none. */
export function shareOf(part: number, whole: number | null): string {
  return whole !== null && whole > 0 ? percent(part / whole) : "–";
}

export function date(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

/** The sum of what is known; null where there is something and nothing of it is known. */
export function known<Item>(items: readonly Item[], value: (item: Item) => number | null): number | null {
  const values = items.map(value).filter((amount) => amount !== null);
  return values.length > 0 || items.length === 0 ? sum(values, (amount) => amount) : null;
}

export function sum<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
