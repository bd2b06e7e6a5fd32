/** A provider on this machine: it keeps what it is asked, and streams the same answer each time, in Anthropic's form. */
import { createServer } from "node:http";

const USAGE = { input_tokens: 12, cache_read_input_tokens: 0, cache_creation_input_tokens: 2000, output_tokens: 1 };

export async function upstream(words) {
  const asked = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) {
      body += chunk;
    }
    asked.push({ path: request.url, key: request.headers["x-api-key"], body: JSON.parse(body) });
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (event) => response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    send({ type: "message_start", message: { id: "msg_1", type: "message", role: "assistant", content: [], usage: USAGE } });
    send({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } });
    for (const text of words) {
      send({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } });
    }
    send({ type: "content_block_stop", index: 0 });
    send({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 9 } });
    send({ type: "message_stop" });
    response.end();
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { asked, url: `http://127.0.0.1:${server.address().port}`, end: () => server.close() };
}
