/** Proof that the program at the gateway's port is ours, asked for before it is told the token, a prompt or a key. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/**
 * Say whether the gateway at `own` (`http://127.0.0.1:PORT/TOKEN`) knows the token, without telling it: only a program
 * that can read the token's file can answer the challenge. `anchorline/live/proof.py` is the other side.
 */
export async function isOurs(own: string): Promise<boolean> {
  const { origin, port, pathname } = new URL(own);
  const challenge = randomBytes(32).toString("hex");
  const wanted = createHmac("sha256", pathname.slice(1))
    .update(`anchorline gateway ${port} ${challenge}`)
    .digest("hex");
  try {
    const answer = await fetch(`${origin}/proof/${challenge}`, { redirect: "error" });
    const proof = Buffer.from(await answer.text());
    return proof.length === wanted.length && timingSafeEqual(proof, Buffer.from(wanted));
  } catch {
    return false;
  }
}
