/** A conversation as VS Code has it and as a provider wants it: plain values, so that they can be tested without either. */

export type Part =
  | { kind: "text"; text: string }
  | { kind: "image"; type: string; base64: string }
  | { kind: "call"; id: string; name: string; input: object }
  | { kind: "result"; id: string; text: string };

export interface Turn {
  role: "system" | "user" | "assistant";
  parts: Part[];
}

export interface Tool {
  name: string;
  description: string;
  schema: object;
}

/** What is asked. `toolRequired`: the answer has to call a tool. */
export interface Ask {
  model: string;
  turns: Turn[];
  tools: Tool[];
  toolRequired: boolean;
  maxTokens: number;
}

/** A piece of an answer, as it comes. */
export type Piece = { text: string } | { call: { id: string; name: string; input: object } };

export type Body = Record<string, unknown>;

/** How a provider is spoken to. */
export interface Api {
  name: "anthropic" | "openai";
  format: "anthropic" | "openai-chat";
  /** Below the gateway's address for this provider. */
  path: string;
  headers(key: string | undefined): Record<string, string>;
  body(ask: Ask): Body;
  pieces(events: AsyncIterable<Body>): AsyncIterable<Piece>;
}

/** The JSON objects of a stream of server-sent events. */
export async function* events(stream: AsyncIterable<Uint8Array>): AsyncIterable<Body> {
  const decoder = new TextDecoder();
  let waiting = "";
  for await (const chunk of stream) {
    waiting += decoder.decode(chunk, { stream: true });
    const lines = waiting.split("\n");
    waiting = lines.pop() ?? "";
    for (const line of lines) {
      const data = line.startsWith("data:") ? line.slice(5).trim() : "";
      if (data !== "" && data !== "[DONE]") {
        yield JSON.parse(data);
      }
    }
  }
}

/** The arguments of a tool's call, which come as text in pieces; a model may write none. */
export function input(json: string): object {
  return json === "" ? {} : JSON.parse(json);
}

export function textOf(parts: readonly Part[]): string {
  return parts.map((part) => (part.kind === "text" ? part.text : "")).join("");
}

const OWN = "Anchorline: ";
const PROVIDERS = { anthropic: "Anthropic", openai: "OpenAI" };

/** What the chat says where a request was refused, by the provider or (with its name in front) by the gateway. */
export function refusal(provider: "anthropic" | "openai", status: number, text: string): string {
  const sentence = text.replace(/\.?$/, ".");
  if (text.startsWith(OWN)) {
    return sentence.slice(OWN.length);
  }
  const hint = status === 401 ? ' Run "Anchorline: Set API Key".' : "";
  return `${PROVIDERS[provider]} answered with ${status}: ${sentence}${hint}`;
}
