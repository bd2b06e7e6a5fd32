// Generated from the server by generate.py. Do not edit.

import type { WorkspaceEdit } from "vscode-languageclient/node";

/** The prompt to plan: a document, a range of one (any text), or a body; one of them is needed. */
export interface PlanParams {
  textDocument?: TextDocument | null;
  range?: Range | null;
  prompt?: PromptBody | null;
  surroundings?: Surroundings;
  target?: string | null;
}

/** An open document. With a `version`, the request is refused (ContentModified) for any other. */
export interface TextDocument {
  uri: string;
  version?: number | null;
}

/** The text from `start` up to `end`. */
export interface Range {
  start: Position;
  end: Position;
}

/** A place in a document, both counted from 0; `character` in the negotiated position encoding. */
export interface Position {
  line: number;
  character: number;
}

/** A prompt that is not a document: `body` is its text, or a request body as a JSON object. */
export interface PromptBody {
  body: string | Record<string, unknown>;
  format?: "markdown" | "anthropic" | "openai-chat" | "openai-responses" | "gemini" | "claude-code" | "codex" | null;
}

/** What the editor knows around the draft. Files are URIs or paths. */
export interface Surroundings {
  activeFile?: string | null;
  selection?: Selection | null;
  symbol?: string | null;
  diagnostics?: readonly EditorDiagnostic[];
  openFiles?: readonly string[];
  recentEdits?: readonly string[];
}

/** What is selected in the editor. */
export interface Selection {
  uri: string;
  range: Range;
  text?: string;
}

/** One of the editor's own diagnostics, as the Language Server Protocol has it, and its document. */
export interface EditorDiagnostic {
  uri: string;
  range: Range;
  message: string;
  severity?: 1 | 2 | 3 | 4;
}

/** As for a plan, and the tokens under which to report progress, and to stream what the local model writes. */
export interface RefineParams {
  textDocument?: TextDocument | null;
  range?: Range | null;
  prompt?: PromptBody | null;
  surroundings?: Surroundings;
  target?: string | null;
  partialResultToken?: number | string | null;
  workDoneToken?: number | string | null;
}

/** What became of a plan. `edit_distance` is characters between the proposal and what was kept. */
export interface Outcome {
  planId: string;
  target?: string | null;
  decision?: "accepted" | "modified" | "rejected" | null;
  editDistance?: number | null;
  usage?: Usage | null;
  latencyMs?: number | null;
  signals?: Record<string, boolean | number>;
  sentAt?: number | null;
  answerId?: string | null;
  requestId?: string | null;
  ping?: number | null;
  additions?: Record<string, "accepted" | "modified" | "rejected">;
}

/** Tokens that the provider billed. `input` excludes what was read from or written to the cache. */
export interface Usage {
  input?: number;
  read?: number;
  write?: number;
  output?: number;
  write1h?: number;
  webSearches?: number;
  speed?: string;
  tier?: string;
  geo?: string;
  iterations?: readonly Iteration[];
  partial?: boolean;
}

/** One of the inferences that a request was billed for, counted as in `Usage`. */
export interface Iteration {
  kind?: string;
  model?: string | null;
  input?: number;
  read?: number;
  write?: number;
  output?: number;
  write1h?: number;
}

/** Thumbs up or down on a plan, with a note. */
export interface Feedback {
  planId: string;
  thumbs: 1 | -1;
  note?: string;
}

/** The plan to explain: one by its id, or the newest of an open prompt; the last one where neither is named. */
export interface ExplainParams {
  planId?: string | null;
  textDocument?: TextDocument | null;
  plain?: boolean;
}

/** Nothing. */
export type StatusParams = Record<string, never>;

/** What was recorded in the last `days`; all of it where they are not given. */
export interface ReportParams {
  days?: number | null;
}

/** One decision about one prompt. `failure` is set when Anchorline failed open: nothing is changed then. */
export interface Plan {
  id: string;
  created_at: number;
  schema: 1;
  format: string;
  draft_hash: string | null;
  prompt_hash: string;
  session: string | null;
  policy: Policy;
  refinement: Refinement;
  trims: readonly Trim[];
  cache: CachePlan;
  route: Route;
  tokens: Tokens;
  cost: Cost;
  timing: Record<string, number>;
  failure: string | null;
  instructions: InstructionCost | null;
}

/** Who decided. `propensity` is the probability with which this arm was chosen (1 outside experiments). */
export interface Policy {
  name: string;
  version: string;
  arm: string;
  propensity: number;
  experiment: string | null;
  reason: string;
}

/** A proposed rewrite of the draft: never applied without the developer's consent. */
export interface Refinement {
  status: "proposed" | "unchanged" | "refused" | "unavailable";
  reason: string;
  text: string | null;
  edits: readonly Edit[];
  hints: readonly Hint[];
  questions: readonly Question[];
  engine: string;
  additions: readonly Addition[];
  structure: Edit | null;
}

/** Replace the draft's characters `start:end` by `text`, because of `reason`. */
export interface Edit {
  start: number;
  end: number;
  text: string;
  reason: string;
}

/** One thing that is unclear in the draft's characters `start:end`; `code` is a rule such as AL101. */
export interface Hint {
  code: string;
  message: string;
  start: number;
  end: number;
}

/** A fact that only the developer can supply. It is asked, never invented. */
export interface Question {
  slot: string;
  text: string;
}

/** A fact of the workspace that could stand in the draft, accepted or rejected by itself. */
export interface Addition {
  id: string;
  kind: "file" | "symbol" | "command";
  text: string;
  reason: string;
  probability: number;
  path: string | null;
  line: number | null;
  symbol: string | null;
}

/** A saving: what the gateway's mode ``trim`` sends shorter, or in a document a block that stands there twice. */
export interface Trim {
  segment: number;
  pointer: string;
  action: "reference" | "shorten";
  original: number;
  tokens_saved: number;
  reason: string;
  kinds: readonly ("line_numbers" | "equal_lines" | "found_path" | "earlier_lines" | "terminal_rendering")[];
  restorable: boolean;
}

/** What the provider's prompt cache holds now, and what to ask it to hold. */
export interface CachePlan {
  provider: string;
  mode: "explicit" | "automatic" | "local" | "none";
  anchors: readonly Anchor[];
  p_hit: number;
  warm_tokens: number;
  expires_in_s: number | null;
  expected_read_tokens: number;
  expected_write_tokens: number;
  keepalive: Keepalive | null;
  miss_reasons: readonly Miss[];
  reason: string;
}

/** A cache breakpoint at the end of `segment`: the provider keeps the `prefix_tokens` before it for `ttl`. */
export interface Anchor {
  segment: number;
  pointer: string;
  prefix_tokens: number;
  ttl: string;
  reason: string;
  origin: "client" | "plan";
}

/** Pings that keep a prefix warm: `pings` of them, one every `every_s` seconds. */
export interface Keepalive {
  pings: number;
  every_s: number;
  reason: string;
}

/** Why the cache would not hit. `tokens` were warm and have expired, where that is the reason. */
export interface Miss {
  code: "never_sent" | "expired" | "model_changed" | "compacted" | "prefix_edited" | "thinking_stripped" | "below_minimum" | "no_anchor" | "no_cache";
  text: string;
  tokens: number;
}

/** The model to send to. `sticky`: kept because the session already runs on it. */
export interface Route {
  target: string;
  tier: string;
  alternatives: readonly Alternative[];
  sticky: boolean;
  reason: string;
}

/** One model that was considered: what it would probably do, cost and take. */
export interface Alternative {
  target: string;
  tier: string;
  p_success: number;
  cost_usd: number;
  latency_ms: number;
  score: number;
  excluded: string | null;
}

/** Input tokens of the whole prompt with a 90 % interval. */
export interface Tokens {
  estimate: number;
  low: number;
  high: number;
}

/** Expected USD of this request's input and of reading its prefix again in the next one. */
export interface Cost {
  usd: number | null;
  without_plan_usd: number | null;
  request_usd: number | null;
  low_usd: number | null;
  high_usd: number | null;
  model_usd: number | null;
}

/** What a file of standing instructions (CLAUDE.md, AGENTS.md, …) costs with each request that has it. */
export interface InstructionCost {
  model: string;
  context: number | null;
  warm_usd: number | null;
  cold_usd: number | null;
  prefixes: number;
  edit_tokens: number;
  edit_usd: number | null;
  edit_free_at: number | null;
}

/** The proposed refinement (as in a plan) and, where the prompt is a document, the edits for it. */
export interface RefineResult {
  planId: string;
  refinement: Refinement;
  edit: WorkspaceEdit | null;
  context: WorkspaceEdit | null;
}

/** A refinement in words, and where the client can show it as a document. */
export interface Preview {
  planId: string;
  markdown: string;
  uri: string | null;
}

/** Whether it is on disk; the `reason` says why not (recording is off). */
export interface Recorded {
  recorded: boolean;
  reason?: string | null;
}

/** A plan in words, and the plan itself. `text` are the words without markup, where they were asked for. */
export interface Explanation {
  markdown: string;
  plan: Plan;
  text: string | null;
}

/** The state of the server. */
export interface Status {
  version: string;
  engine: Engine;
  store: StoreState;
  policy: PolicyState;
  warm: readonly Warm[];
  gateway: Gateway;
  windows: readonly PlanWindow[];
  index: Index;
}

/** The local language model that helps to refine drafts, and where it stands; `reason` says why it is not ready. */
export interface Engine {
  name: string;
  state: "absent" | "idle" | "starting" | "ready" | "busy" | "restarting" | "failed" | "off";
  reason: string;
  device: string;
}

/** Whether outcomes are recorded, what text is kept, and what is wrong if anything is. */
export interface StoreState {
  recording: boolean;
  text: "off" | "redacted" | "full";
  problem: string | null;
}

/** What decides. `note` says what is on trial, and what can't be used and why. */
export interface PolicyState {
  name: string;
  version: string;
  note: string;
}

/** A prefix that a provider is believed to hold now. */
export interface Warm {
  provider: string;
  model: string;
  tokens: number;
  ttl: string;
  expiresInS: number;
}

/** The gateway that runs with the server (`gateway.start`), and the base URLs for clients while it runs. */
export interface Gateway {
  state: "off" | "starting" | "running" | "failed";
  reason: string;
  anthropic: string | null;
  openai: string | null;
  gemini: string | null;
}

/** A window of the developer's plan: `used` per cent, its reset in epoch seconds, and a `text` with the forecast. */
export interface PlanWindow {
  name: string;
  used: number;
  resetsAt: number | null;
  text: string;
}

/** The index of the first folder, and where it stands; `reason` says why it is not ready. Additions come from it. */
export interface Index {
  state: "off" | "indexing" | "ready" | "failed";
  reason: string;
  files: number;
}

/** The dashboard: a page that holds all it needs. The command writes it to the file `uri`. */
export interface ReportPage {
  html: string;
  uri: string | null;
}

/** What streams of a refinement: the rules' proposal at once, which stands unless a better one comes. */
export interface Proposal {
  refinement: Refinement;
  kind: "proposal";
}

/** What is sent with each request, and what comes back. */
export interface Requests {
  "anchorline/plan": { params: PlanParams; result: Plan };
  "anchorline/refine": { params: RefineParams; result: RefineResult };
  "anchorline/preview": { params: RefineParams; result: Preview };
  "anchorline/outcome": { params: Outcome; result: Recorded };
  "anchorline/feedback": { params: Feedback; result: Recorded };
  "anchorline/explain": { params: ExplainParams; result: Explanation };
  "anchorline/status": { params: StatusParams; result: Status };
  "anchorline/report": { params: ReportParams; result: ReportPage };
}
