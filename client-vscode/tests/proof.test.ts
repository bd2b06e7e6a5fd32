import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { isOurs } from "../src/provider/proof";

const TOKEN = "a-token-of-thirty-two-characters";

async function asked(
  listener: (port: number, seen: string[]) => RequestListener,
): Promise<[boolean, string[]]> {
  const seen: string[] = [];
  const server = createServer((request, response) =>
    listener((server.address() as AddressInfo).port, seen)(request, response),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const ours = await isOurs(`http://127.0.0.1:${port}/${TOKEN}`);
  server.close();
  return [ours, seen];
}

test("a gateway that knows the token proves it", async () => {
  const [ours] = await asked((port) => (request, response) => {
    const challenge = request.url?.split("/").at(-1);
    response.end(createHmac("sha256", TOKEN).update(`anchorline gateway ${port} ${challenge}`).digest("hex"));
  });
  assert.equal(ours, true);
});

test("another program does not, and is not told the token", async () => {
  const [ours, seen] = await asked((_port, paths) => (request, response) => {
    paths.push(`${request.url}${JSON.stringify(request.headers)}`);
    response.end("f".repeat(64));
  });
  assert.equal(ours, false);
  assert.equal(seen.length, 1);
  assert.ok(!seen.join().includes(TOKEN));
});

test("nobody there is no proof", async () => {
  assert.equal(await isOurs(`http://127.0.0.1:9/${TOKEN}`), false);
});
