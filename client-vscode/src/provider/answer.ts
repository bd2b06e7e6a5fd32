/** "Anchorline Auto" in the chat's model picker: a request is planned, sent through the gateway, and its answer streamed. */
import {
  type CancellationToken,
  Disposable,
  type LanguageModelChatRequestMessage,
  LanguageModelTextPart,
  LanguageModelToolCallPart,
  LanguageModelToolResultPart,
  type Progress,
  type ProvideLanguageModelChatResponseOptions,
  type SecretStorage,
  window,
  workspace,
} from "vscode";
import type { EditorContext } from "../editorcontext";
import type { Plan } from "../protocol";
import type { Server } from "../server";
import { anthropic, mark } from "./anthropic";
import { type Addresses, Gateway } from "./gateway";
import { askForKey, keyOf } from "./keys";
import { openai } from "./openai";
import { type Api, type Body, events, type Part, refusal, type Turn } from "./talk";
import { Usage } from "./usage";

const MAX_TOKENS = 16_000;
const SYSTEM = 3; // VS Code's own messages have this role, which its API does not name
const ROLES: Record<number, Turn["role"]> = { 1: "user", 2: "assistant", [SYSTEM]: "system" };

type Options = ProvideLanguageModelChatResponseOptions;
type Answer = Progress<LanguageModelTextPart | LanguageModelToolCallPart>;

export class Answers extends Disposable {
  private readonly gateway: Gateway;
  private readonly usage = new Usage();
  private readonly askedFor = new Set<string>();

  constructor(
    private readonly server: Server,
    private readonly editorContext: EditorContext,
    private readonly secrets: SecretStorage,
  ) {
    super(() => Disposable.from(this.gateway, this.usage).dispose());
    this.gateway = new Gateway(server);
  }

  /** Answer a request of the chat. What is wrong is thrown in words: the chat shows them. */
  async give(
    messages: readonly LanguageModelChatRequestMessage[],
    options: Options,
    answer: Answer,
    token: CancellationToken,
  ): Promise<void> {
    const settings = workspace.getConfiguration("anchorline");
    const model = settings.get("route.pin", "") || settings.get("route.model", "");
    const api = model.startsWith("claude") ? anthropic : openai;
    const body = api.body({
      model,
      turns: messages.map(turn),
      tools: (options.tools ?? []).map(({ name, description, inputSchema }) => ({
        name,
        description,
        schema: inputSchema ?? { type: "object", properties: {} },
      })),
      toolRequired: options.toolMode === 2,
      maxTokens: MAX_TOKENS,
    });
    const [addresses, plan] = await Promise.all([this.gateway.running(), this.plan(api, body)]);
    const sent = plan === undefined ? body : planned(api, body, plan);
    const began = Date.now() / 1000;
    const response = await this.send(api, addresses, sent, token);
    for await (const piece of api.pieces(events(response))) {
      answer.report(
        "text" in piece
          ? new LanguageModelTextPart(piece.text)
          : new LanguageModelToolCallPart(piece.call.id, piece.call.name, piece.call.input),
      );
    }
    this.count(addresses, began, plan); // the answer is there: it does not wait for what it used
  }

  /** Show what a request that began then has used, once the gateway has counted it. */
  private async count(addresses: Addresses, began: number, plan: Plan | undefined): Promise<void> {
    const passed = await this.gateway.newest(addresses, began);
    if (passed !== undefined) {
      this.usage.show(passed, plan);
    }
  }

  /** Plan a request; without a plan it is sent as it is, and the log says why. */
  private async plan(api: Api, body: Body): Promise<Plan | undefined> {
    try {
      const document = window.activeTextEditor?.document;
      const plan = await this.server.request("anchorline/plan", {
        prompt: { format: api.format, body },
        ...(document === undefined ? {} : { surroundings: await this.editorContext.of(document) }),
      });
      return plan.failure === null ? plan : undefined;
    } catch (error) {
      this.server.log.warn(`The chat's request is sent without a plan: ${error}`);
      return undefined;
    }
  }

  /** Ask for the provider's key, once, where one is likely needed; undefined where none was given. */
  private async missingKey(api: Api): Promise<string | undefined> {
    const settings = workspace.getConfiguration("anchorline.gateway");
    const elsewhere = settings.get(api.name) !== settings.inspect(api.name)?.defaultValue;
    if (elsewhere || settings.get(`${api.name}_key`) !== "client" || this.askedFor.has(api.name)) {
      return undefined; // a service that may need none, the gateway has one, or the provider says what is missing
    }
    this.askedFor.add(api.name);
    await askForKey(this.secrets, api.name);
    return keyOf(this.secrets, api.name);
  }

  private async send(
    api: Api,
    addresses: Addresses,
    body: Body,
    token: CancellationToken,
  ): Promise<AsyncIterable<Uint8Array>> {
    const ended = new AbortController();
    token.onCancellationRequested(() => ended.abort());
    const key = (await keyOf(this.secrets, api.name)) ?? (await this.missingKey(api));
    const response = await fetch(`${addresses[api.name]}${api.path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...api.headers(key) },
      body: JSON.stringify(body),
      signal: ended.signal,
    });
    if (!response.ok || response.body === null) {
      const text = (await response.text()).slice(0, 2000);
      throw new Error(refusal(api.name, response.status, message(text)));
    }
    return response.body as unknown as AsyncIterable<Uint8Array>;
  }
}

/** A body with the plan's model, where it is of the same provider, and its breakpoints. */
function planned(api: Api, body: Body, plan: Plan): Body {
  const same = plan.route.target.startsWith("claude") === (api === anthropic);
  const routed = { ...body, model: same ? plan.route.target : body["model"] };
  if (api === anthropic) {
    mark(routed, plan.cache.anchors);
  }
  return routed;
}

function turn({ role, content }: LanguageModelChatRequestMessage): Turn {
  return { role: ROLES[role] ?? "user", parts: content.flatMap(part) };
}

function part(given: unknown): Part[] {
  if (given instanceof LanguageModelTextPart) {
    return [{ kind: "text", text: given.value }];
  }
  if (given instanceof LanguageModelToolCallPart) {
    return [{ kind: "call", id: given.callId, name: given.name, input: given.input }];
  }
  if (given instanceof LanguageModelToolResultPart) {
    const text = given.content.map((part) => (part instanceof LanguageModelTextPart ? part.value : ""));
    return [{ kind: "result", id: given.callId, text: text.join("\n") }];
  }
  const { mimeType, data } = given as { mimeType?: string; data?: Uint8Array }; // newer than the oldest VS Code
  if (mimeType?.startsWith("image/") && data !== undefined) {
    return [{ kind: "image", type: mimeType, base64: Buffer.from(data).toString("base64") }];
  }
  return [];
}

function message(text: string): string {
  try {
    return JSON.parse(text).error?.message ?? text;
  } catch {
    return text;
  }
}
