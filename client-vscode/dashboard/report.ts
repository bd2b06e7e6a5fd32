// Generated from the server by generate.py. Do not edit.

/** Everything. `requests` have a bill; of `unpriced` ones the price is not known, `unknown` says what of it. */
export interface Report {
  made_at: number;
  since: number | null;
  first_at: number | null;
  last_at: number | null;
  requests: number;
  unpriced: number;
  costs: readonly Cost[];
  hits: Hits;
  calibration: readonly Curve[];
  routes: readonly Route[];
  refinements: Refinements;
  arms: readonly Arm[];
  steps: readonly ExperimentStep[];
  overview: Overview;
  unknown: Record<string, number>;
  pings: number;
  pings_usd: number | null;
  groupings: readonly Grouping[];
  budgets: readonly BudgetUse[];
  windows: readonly WindowState[];
  window_budgets: readonly WindowBudget[];
  finding_shares: readonly FindingShare[];
  additions: AdditionDecisions;
  schema: 1;
}

/** One model on one day: what its requests were billed, and what the same tokens cost without a cache. */
export interface Cost {
  day: string;
  model: string;
  requests: number;
  usd: number | null;
  uncached_usd: number | null;
  plans: number;
  planned_usd: number;
  without_plan_usd: number;
  unpriced: number;
}

/** Of `returns` to a prefix, `hits` read 90 % of it. `first` requests had nothing that they could have read. */
export interface Hits {
  returns: number;
  hits: number;
  first: number;
  misses: readonly MissCost[];
}

/** Requests that did not read a prefix that was there before; `usd` is what reading it would have saved. */
export interface MissCost {
  cause: "expired" | "model_changed" | "compacted" | "prefix_edited" | "thinking_stripped" | "history_changed" | "not_readable" | "dropped";
  requests: number;
  usd: number;
}

/** P(hit) against what happened: as ``plans`` said it, or reckoned afterwards for ``imported`` requests. */
export interface Curve {
  source: "plans" | "imported";
  bins: readonly Bin[];
}

/** Requests whose P(hit) was between `low` and `high`: its mean, and the share that hit with its 95 % interval. */
export interface Bin {
  low: number;
  high: number;
  requests: number;
  predicted: number;
  observed: number;
  observed_low: number;
  observed_high: number;
}

/** A model: how often plans proposed it (`sticky`: because the session ran on it), how often it answered. */
export interface Route {
  target: string;
  tier: string;
  plans: number;
  sticky: number;
  answered: number;
}

/** What became of proposed drafts. `edit_distance` is the median of the modified ones, in characters. */
export interface Refinements {
  proposed: number;
  accepted: number;
  modified: number;
  rejected: number;
  edit_distance: number | null;
  thumbs_up: number;
  thumbs_down: number;
}

/** A policy, and the arm of an experiment that plans fell on; `propensity` is the mean probability of that. */
export interface Arm {
  policy: string;
  version: string;
  arm: string;
  propensity: number;
  plans: number;
}

/** A step of an experiment: `version` was put on trial, promoted, … in the place of `instead_of`, by whom and why. */
export interface ExperimentStep {
  at: number;
  event: string;
  version: string;
  instead_of: string;
  by: string;
  reason: string;
  experiment: string | null;
  stage: string | null;
  share: number | null;
}

/** What was spent and on what. `usd` is the sum of all `findings` and of `rest`, which is no finding's. */
export interface Overview {
  agents: readonly AgentUse[];
  first_at: number | null;
  last_at: number | null;
  days: number;
  sessions: number;
  requests: number;
  unpriced: number;
  usd: number;
  findings: readonly CostFinding[];
  rest: number;
  observations: readonly CostFinding[];
  schema: 1;
}

/** What one agent was used for. `agent` is ``gateway`` for what no session file has. */
export interface AgentUse {
  agent: string;
  sessions: number;
  requests: number;
  usd: number;
}

/** `requests` in which something cost `usd` that it need not have: `tokens`, by model. */
export interface CostFinding {
  code: "expired" | "history_changed" | "model_switched" | "tools_changed" | "compacted_cold" | "instructions_edited" | "not_readable" | "files_reread" | "large_results" | "subagent_starts" | "media_resent" | "no_commit";
  title: string;
  count: number;
  unit: string;
  requests: number;
  usd: number;
  worst: Example | null;
  fix: Fix | null;
  tokens: readonly FindingTokens[];
}

/** Where a finding was worst: the dollars of one session on one day. */
export interface Example {
  project: string | null;
  day: string;
  usd: number;
  session: string;
}

/** What to do about a finding. `changes` are made by `anchorline fix`; where there are none, `title` is advice. */
export interface Fix {
  title: string;
  worth: Interval;
  changes: readonly SettingChange[];
}

/** A figure with its 95 % interval. */
export interface Interval {
  value: number;
  low: number;
  high: number;
}

/** A value for a client's own settings file, at the path of `keys`. */
export interface SettingChange {
  client: string;
  keys: readonly string[];
  value: boolean | number | string;
  source: string;
}

/** Tokens of a model that need not have been sent so. `read` is below 0 where they should have been read. */
export interface FindingTokens {
  model: string;
  input: number;
  read: number;
  write_5m: number;
  write_1h: number;
}

/** All that was billed, divided into `rows`, which add up to it: in the order of time, or the dearest one first. */
export interface Grouping {
  by: "project" | "branch" | "pr" | "agent" | "subagent" | "model" | "tool" | "day" | "week" | "session" | "block";
  requests: number;
  usd: number | null;
  uncached_usd: number | null;
  unpriced: number;
  rows: readonly GroupCost[];
}

/** What the requests of a group were billed, and what the same tokens cost without a cache. */
export interface GroupCost {
  name: string | null;
  requests: number;
  usd: number | null;
  uncached_usd: number | null;
  unpriced: number;
  project: string | null;
  results: number;
  others: number;
}

/** What of a budget was spent. `begins` is the day its period began on; `project` names that of ``project``. */
export interface BudgetUse {
  period: "day" | "week" | "project";
  begins: string;
  limit_usd: number;
  spent_usd: number;
  project: string;
}

/** A window of a plan, as its newest sample and the work since the window began tell it. */
export interface WindowState {
  provider: string;
  window: string;
  used: number;
  at: number;
  resets_at: number | null;
  length: number | null;
  plan: string;
  account: string;
  pace: Estimate | null;
  at_reset: Estimate | null;
  wall: Wall | null;
  over: boolean;
}

/** A number that was estimated, with the interval that holds the true one nine times in ten. */
export interface Estimate {
  value: number;
  low: number;
  high: number;
}

/** When a window will be full, if it will be before it resets: `likely` is the probability of that. */
export interface Wall {
  likely: number;
  earliest: number | null;
  at: number | null;
  latest: number | null;
}

/** What is used of a budget in per cent of a window. Both shares are per cent of the whole window. */
export interface WindowBudget {
  provider: string;
  window: string;
  limit_percent: number;
  used_percent: number;
  resets_at: number | null;
  account: string;
}

/** What the finding with the `code` took of each `window` of a provider's plan, in per cent, on average. */
export interface FindingShare {
  code: string;
  provider: string;
  window: string;
  percent: Estimate;
}

/** What became of files and symbols that were proposed to be added to drafts. */
export interface AdditionDecisions {
  shown: number;
  accepted: number;
  modified: number;
  rejected: number;
  predicted: number | null;
  observed: number | null;
}

export type Cause = "expired" | "model_changed" | "compacted" | "prefix_edited" | "thinking_stripped" | "history_changed" | "not_readable" | "dropped";

/** What a person calls a plan's windows. */
export const TITLES: Record<string, string> = {"five_hour": "5-hour window", "one_day": "daily window", "seven_day": "weekly window", "seven_day_overage_included": "weekly window of its own model", "seven_day_opus": "weekly window of Opus", "seven_day_sonnet": "weekly window of Sonnet", "overage": "extra usage"};

/** And the plans. */
export const PLANS: Record<string, string> = {"anthropic": "Claude", "openai": "Codex"};
