import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { dashboard } from "../dashboard.mjs";

test("the dashboard that the server has is the one that this source gives", async () => {
  const built = await dashboard();
  assert.equal(built.size, 2);
  for (const [path, text] of built) {
    assert.equal(readFileSync(path, "utf-8"), text, `npm run build writes ${path}`);
  }
});
