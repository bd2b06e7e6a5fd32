import assert from "node:assert/strict";
import { test } from "node:test";
import { anthropic, mark } from "../src/provider/anthropic";
import { openai } from "../src/provider/openai";
import { type Ask, type Body, events, type Piece, refusal } from "../src/provider/talk";

const ASK: Ask = {
  model: "m",
  turns: [
    { role: "system", parts: [{ kind: "text", text: "Be brief." }] },
    { role: "user", parts: [{ kind: "text", text: "Read it." }] },
    {
      role: "assistant",
      parts: [
        { kind: "text", text: "" },
        { kind: "call", id: "c1", name: "read", input: { path: "a.py" } },
      ],
    },
    {
      role: "user",
      parts: [
        { kind: "result", id: "c1", text: "x = 1" },
        { kind: "text", text: "And now?" },
      ],
    },
  ],
  tools: [{ name: "read", description: "Reads a file.", schema: { type: "object" } }],
  toolRequired: false,
  maxTokens: 100,
};

/** A stream whose chunks end anywhere, also within a character. */
async function* stream(lines: unknown[], size = 5): AsyncIterable<Uint8Array> {
  const bytes = Buffer.from(lines.map((line) => `event: x\ndata: ${JSON.stringify(line)}\n\n`).join(""));
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.subarray(start, start + size);
  }
}

async function all(pieces: AsyncIterable<Piece>): Promise<Piece[]> {
  const found: Piece[] = [];
  for await (const piece of pieces) {
    found.push(piece);
  }
  return found;
}

test("a conversation becomes Anthropic's: system apart, tools in blocks, no empty text", () => {
  const body = anthropic.body(ASK);
  assert.deepEqual(body["system"], [{ type: "text", text: "Be brief." }]);
  assert.deepEqual(body["messages"], [
    { role: "user", content: [{ type: "text", text: "Read it." }] },
    { role: "assistant", content: [{ type: "tool_use", id: "c1", name: "read", input: { path: "a.py" } }] },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "c1", content: [{ type: "text", text: "x = 1" }] },
        { type: "text", text: "And now?" },
      ],
    },
  ]);
});

test("a conversation becomes OpenAI's: results before what is said to them", () => {
  assert.deepEqual(openai.body(ASK)["messages"], [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Read it." },
    {
      role: "assistant",
      content: "",
      tool_calls: [{ id: "c1", type: "function", function: { name: "read", arguments: '{"path":"a.py"}' } }],
    },
    { role: "tool", tool_call_id: "c1", content: "x = 1" },
    { role: "user", content: "And now?" },
  ]);
});

test("a plan's breakpoints are set where they belong, and nowhere else", () => {
  const body = anthropic.body(ASK);
  const before = JSON.stringify(body);
  const anchor = { segment: 0, prefix_tokens: 1, reason: "", origin: "plan" as const };
  mark(body, [
    { ...anchor, pointer: "/system/0", ttl: "1h" },
    { ...anchor, pointer: "/messages/9/content/0", ttl: "5m" },
  ]);
  const marked = { type: "text", text: "Be brief.", cache_control: { type: "ephemeral", ttl: "1h" } };
  assert.deepEqual(body["system"], [marked]);
  assert.equal(JSON.stringify(body).replace(',"cache_control":{"type":"ephemeral","ttl":"1h"}', ""), before);
});

test("Anthropic's stream gives text and calls as they come", async () => {
  const lines: Body[] = [
    { type: "message_start", message: {} },
    { type: "content_block_start", content_block: { type: "text" } },
    { type: "content_block_delta", delta: { type: "text_delta", text: "größe " } },
    { type: "content_block_delta", delta: { type: "text_delta", text: "🙂" } },
    { type: "content_block_stop" },
    { type: "content_block_start", content_block: { type: "tool_use", id: "c2", name: "read" } },
    { type: "content_block_delta", delta: { type: "input_json_delta", partial_json: '{"path":' } },
    { type: "content_block_delta", delta: { type: "input_json_delta", partial_json: '"b"}' } },
    { type: "content_block_stop" },
  ];
  assert.deepEqual(await all(anthropic.pieces(events(stream(lines)))), [
    { text: "größe " },
    { text: "🙂" },
    { call: { id: "c2", name: "read", input: { path: "b" } } },
  ]);
  const failed = [{ type: "error", error: { message: "overloaded" } }];
  await assert.rejects(all(anthropic.pieces(events(stream(failed)))), /overloaded/);
});

test("OpenAI's stream gives text, and calls once they are whole", async () => {
  const call = (part: object) => ({ choices: [{ delta: { tool_calls: [{ index: 0, ...part }] } }] });
  const lines = [
    { choices: [{ delta: { content: "größe" } }] },
    call({ id: "c3", function: { name: "read", arguments: "" } }),
    call({ function: { arguments: '{"path":"c"}' } }),
    { choices: [], usage: {} },
  ];
  assert.deepEqual(await all(openai.pieces(events(stream(lines)))), [
    { text: "größe" },
    { call: { id: "c3", name: "read", input: { path: "c" } } },
  ]);
  await assert.rejects(all(openai.pieces(events(stream([{ error: { message: "no" } }])))), /no/);
});

test("a refusal says who refused, and what to do about a missing key", () => {
  assert.equal(
    refusal("anthropic", 401, "invalid x-api-key"),
    'Anthropic answered with 401: invalid x-api-key. Run "Anchorline: Set API Key".',
  );
  assert.equal(
    refusal("anthropic", 502, "Anchorline: https://api.anthropic.com can't be reached (no answer in time)"),
    "https://api.anthropic.com can't be reached (no answer in time).",
  );
});
