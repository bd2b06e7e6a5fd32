/** Anthropic's Messages. */
import type { Anchor } from "../protocol";
import { type Api, type Ask, type Body, input, type Part, type Piece, textOf } from "./talk";

const VERSION = "2023-06-01";

export const anthropic: Api = {
  name: "anthropic",
  format: "anthropic",
  path: "/v1/messages",

  headers: (key) => ({
    "anthropic-version": VERSION,
    ...(key === undefined ? {} : { "x-api-key": key }),
  }),

  body({ model, turns, tools, toolRequired, maxTokens }: Ask): Body {
    const system = textOf(turns.filter(({ role }) => role === "system").flatMap(({ parts }) => parts));
    const messages = turns
      .filter(({ role }) => role !== "system")
      .map(({ role, parts }) => ({ role, content: parts.flatMap(block) }))
      .filter(({ content }) => content.length > 0);
    return {
      model,
      max_tokens: maxTokens,
      stream: true,
      ...(system === "" ? {} : { system: [{ type: "text", text: system }] }),
      ...(tools.length === 0
        ? {}
        : {
            tools: tools.map(({ name, description, schema }) => ({
              name,
              description,
              input_schema: schema,
            })),
            tool_choice: { type: toolRequired ? "any" : "auto" },
          }),
      messages,
    };
  },

  async *pieces(events): AsyncIterable<Piece> {
    let call = { id: "", name: "", json: "" };
    for await (const event of events as AsyncIterable<Event>) {
      if (event.type === "error") {
        throw new Error(event.error?.message ?? "the provider ended the answer with an error");
      }
      const { content_block: block, delta } = event;
      if (event.type === "content_block_start" && block?.type === "tool_use") {
        call = { id: block.id ?? "", name: block.name ?? "", json: "" };
      } else if (delta?.type === "text_delta") {
        yield { text: delta.text ?? "" };
      } else if (delta?.type === "input_json_delta") {
        call.json += delta.partial_json ?? "";
      } else if (event.type === "content_block_stop" && call.id !== "") {
        yield { call: { id: call.id, name: call.name, input: input(call.json) } };
        call = { id: "", name: "", json: "" };
      }
    }
  },
};

interface Event {
  type: string;
  content_block?: { type: string; id?: string; name?: string };
  delta?: { type?: string; text?: string; partial_json?: string };
  error?: { message?: string };
}

function block(part: Part): Body[] {
  switch (part.kind) {
    case "text":
      return part.text.trim() === "" ? [] : [{ type: "text", text: part.text }]; // empty ones are refused
    case "image":
      return [{ type: "image", source: { type: "base64", media_type: part.type, data: part.base64 } }];
    case "call":
      return [{ type: "tool_use", id: part.id, name: part.name, input: part.input }];
    case "result":
      return [
        {
          type: "tool_result",
          tool_use_id: part.id,
          content: [{ type: "text", text: part.text || "(nothing)" }],
        },
      ];
  }
}

/** Set the breakpoints of a plan; one whose place is not there is left out. */
export function mark(body: Body, anchors: readonly Anchor[]): void {
  for (const { pointer, ttl } of anchors) {
    const block = pointer
      .split("/")
      .slice(1)
      .reduce<unknown>((value, key) => (value as Body | undefined)?.[key], body);
    if (typeof block === "object" && block !== null && !Array.isArray(block)) {
      (block as Body)["cache_control"] = { type: "ephemeral", ttl };
    }
  }
}
