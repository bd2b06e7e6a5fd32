/** Charts: drawn by Chart.js in the colours of the page, gone through with the arrow keys, each with its table. */
import {
  BarController,
  BarElement,
  CategoryScale,
  Chart,
  type ChartConfiguration,
  type ChartDataset,
  type ChartOptions,
  Filler,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
} from "chart.js";
import { element, type Table, table } from "./elements";

Chart.register(
  BarController,
  BarElement,
  CategoryScale,
  Filler,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
);
Chart.defaults.animation = false;
Chart.defaults.maintainAspectRatio = false;
Chart.defaults.datasets.bar.maxBarThickness = 48;

export type Series = ChartDataset<"bar" | "line"> & { colour: number | "quiet" };

/** A section of the page. `label` says in one sentence what the chart shows, for who can't see it. */
export interface Drawing {
  title: string;
  text: string;
  label: string;
  config: Omit<ChartConfiguration<"bar" | "line">, "data"> & { labels?: string[]; series: Series[] };
  rows?: number;
  table: Table;
}

const drawn: { chart: Chart; series: Series[] }[] = [];
const ROW_PX = 34;

/** Return the section. */
export function drawing({ title, text, label, config, rows, table: figures }: Drawing): HTMLElement {
  const { labels, series, ...rest } = config;
  const canvas = element("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${label} The arrow keys go from value to value.`);
  const told = element("p");
  told.className = "told";
  told.setAttribute("aria-live", "polite");
  const frame = element("div", canvas);
  frame.className = "chart";
  if (rows !== undefined) {
    frame.style.height = `${90 + rows * ROW_PX}px`;
  }
  const details = element("details", element("summary", `${title}: the figures`), table(figures));
  const section = element("section", element("h2", title), element("p", text), frame, told, details);
  requestAnimationFrame(() => {
    const shown = { ...rest, data: { labels: labels ?? [], datasets: series } } as ChartConfiguration;
    colour(shown.options, series);
    const chart = new Chart(canvas, shown);
    drawn.push({ chart, series });
    walk(canvas, chart, told);
  });
  return section;
}

/** Draw all charts in the colours that the page has now. */
export function recolour(): void {
  for (const { chart, series } of drawn) {
    colour(chart.options, series);
    chart.update();
  }
}

function colour(options: ChartOptions = {}, series: Series[]): void {
  const text = shade("text");
  const lines = shade("lines");
  for (const one of series) {
    const own = shade(`colour-${one.colour}`);
    one.borderColor = own;
    if (one.type === "line") {
      one.pointBackgroundColor = own;
      one.backgroundColor = one.fill ? own.replace("rgb(", "rgba(").replace(")", ", 0.15)") : "transparent";
    } else {
      one.backgroundColor = own;
    }
  }
  options.color = text;
  for (const scale of Object.values(options.scales ?? {})) {
    if (scale) {
      scale.ticks = { ...scale.ticks, color: text } as never;
      scale.grid = { ...scale.grid, color: lines } as never;
      const { title } = scale as { title?: { color?: string } };
      if (title) {
        title.color = text;
      }
    }
  }
}

/** A colour of the style sheet, as the theme has it now. */
function shade(name: string): string {
  const probe = element("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** Let the arrow keys show and tell one value after the other. */
function walk(canvas: HTMLCanvasElement, chart: Chart, told: HTMLElement): void {
  let place = -1;
  const show = (index: number): void => {
    place = index;
    const active = chart.data.datasets.flatMap((series, datasetIndex) =>
      chart.isDatasetVisible(datasetIndex) && index >= 0 && index < series.data.length
        ? [{ datasetIndex, index }]
        : [],
    );
    chart.setActiveElements(active);
    chart.tooltip?.setActiveElements(active, { x: 0, y: 0 });
    chart.update();
    const { title = [], body = [] } = active.length > 0 ? (chart.tooltip ?? {}) : {};
    told.textContent = [...title, ...body.flatMap(({ lines }) => lines)].join(", ");
  };
  canvas.addEventListener("keydown", (event) => {
    const longest = Math.max(...chart.data.datasets.map(({ data }) => data.length));
    const next = {
      ArrowRight: place + 1,
      ArrowDown: place + 1,
      ArrowLeft: place - 1,
      ArrowUp: place - 1,
      Home: 0,
      End: longest - 1,
    }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      show(Math.min(Math.max(next, 0), longest - 1));
    } else if (event.key === "Escape") {
      show(-1);
    }
  });
  canvas.addEventListener("blur", () => show(-1));
}
