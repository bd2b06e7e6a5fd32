/** OpenAI's chat completions, and whatever speaks like them. */
import { type Api, type Ask, type Body, input, type Part, type Piece, type Turn, textOf } from "./talk";

export const openai: Api = {
  name: "openai",
  format: "openai-chat",
  path: "/chat/completions",

  headers: (key): Record<string, string> => (key === undefined ? {} : { authorization: `Bearer ${key}` }),

  body({ model, turns, tools, toolRequired, maxTokens }: Ask): Body {
    return {
      model,
      max_completion_tokens: maxTokens,
      stream: true,
      stream_options: { include_usage: true },
      ...(tools.length === 0
        ? {}
        : {
            tools: tools.map(({ name, description, schema }) => ({
              type: "function",
              function: { name, description, parameters: schema },
            })),
            tool_choice: toolRequired ? "required" : "auto",
          }),
      messages: turns.flatMap(messages),
    };
  },

  async *pieces(events): AsyncIterable<Piece> {
    const calls: { id: string; name: string; json: string }[] = [];
    for await (const { error, choices } of events as AsyncIterable<Chunk>) {
      if (error) {
        throw new Error(error.message ?? "the provider ended the answer with an error");
      }
      const delta = choices?.[0]?.delta;
      if (delta?.content) {
        yield { text: delta.content };
      }
      for (const { index, id, function: part } of delta?.tool_calls ?? []) {
        calls[index] ??= { id: "", name: "", json: "" };
        const call = calls[index];
        call.id ||= id ?? "";
        call.name += part?.name ?? "";
        call.json += part?.arguments ?? "";
      }
    }
    for (const { id, name, json } of calls) {
      yield { call: { id, name, input: input(json) } };
    }
  },
};

interface Chunk {
  error?: { message?: string };
  choices?: {
    delta?: {
      content?: string | null;
      tool_calls?: { index: number; id?: string; function?: { name?: string; arguments?: string } }[];
    };
  }[];
}

/** A turn is one message, and one more for each result of a tool. */
function messages({ role, parts }: Turn): Body[] {
  const results = parts.flatMap((part) =>
    part.kind === "result" ? [{ role: "tool", tool_call_id: part.id, content: part.text }] : [],
  );
  const calls = parts.flatMap((part) =>
    part.kind === "call"
      ? [
          {
            id: part.id,
            type: "function",
            function: { name: part.name, arguments: JSON.stringify(part.input) },
          },
        ]
      : [],
  );
  const content = parts.some(({ kind }) => kind === "image") ? parts.flatMap(piece) : textOf(parts);
  if (content.length === 0 && calls.length === 0) {
    return results;
  }
  return [...results, { role, content, ...(calls.length === 0 ? {} : { tool_calls: calls }) }];
}

function piece(part: Part): Body[] {
  if (part.kind === "image") {
    return [{ type: "image_url", image_url: { url: `data:${part.type};base64,${part.base64}` } }];
  }
  return part.kind === "text" ? [{ type: "text", text: part.text }] : [];
}
