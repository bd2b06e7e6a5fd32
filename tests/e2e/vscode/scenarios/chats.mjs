/** The chat: its draft is refined, and "Anchorline Auto" answers. */
import { Chat } from "../chat.mjs";
import { configure } from "../host.mjs";
import { processes } from "../records.mjs";
import { upstream } from "../upstream.mjs";

const DRAFT = "Please could you fix the the bug.";

/** The draft in the chat's input is refined, once the developer has turned that on. */
export async function drafted(window, seen) {
  const chat = await Chat.open(window);
  await chat.write(DRAFT);
  await window.chord("r");
  await window.notified("Refining chat drafts is off", "Turn On");
  await window.reviewed();
  await window.picture("chat");
  await window.chord("Enter");
  seen.chat = await window.until("the refined draft in the chat", async () => (await chat.text()) !== DRAFT && chat.text());
  await chat.box.locator(".monaco-editor.focused").waitFor(); // where one goes on
  await window.recorded();
  await window.focus();
}

/** Of two chats the draft is refined that the cursor is in. That chat is closed meanwhile: the other gets what is accepted. */
export async function displaced(window, seen) {
  const [one, other] = [new Chat(window, "editor"), new Chat(window, "auxiliarybar")];
  await window.run("Chat: New Chat Editor");
  await one.write("Please could you fix the the tests.");
  await window.refine();
  await other.write(" ");
  await window.page.getByRole("tab", { name: "Chat", exact: true }).click({ button: "middle" });
  await one.input.waitFor({ state: "detached" });
  await window.chord("Enter");
  await window.closed();
  seen.displaced = await window.until("the refined draft in the other chat", () => other.text());
  await window.recorded();
  await window.focus();
}

/** "Anchorline Auto" is picked as the chat's model: the request is planned, goes through the gateway, and is answered. */
export async function picked(window, seen, provider) {
  await window.run("Anchorline: Set API Key");
  await window.choose("Anthropic");
  await window.fill("secret storage", "key-of-the-test");
  const chat = await Chat.open(window);
  await chat.pick("Anchorline Auto");
  await chat.ask("@asker", "Why does the parser stop?", "The parser stops at the empty line.");
  const usage = window.page.locator('[id="anchorline.anchorline.usage"]');
  seen.picked = { usage: await window.words(usage, "$"), asked: provider.asked };
  await window.picture("answer");
  await window.focus();
}

/** The server starts a gateway by itself where the settings say so, and the next request goes through that one. */
export async function attended(window, seen) {
  const provider = await upstream(["It starts ", "at the first."]);
  try {
    await configure(provider, "start = true");
    await window.run("Anchorline: Restart Server");
    await window.until("the server's gateway", () => processes("gateway", "--attended").length > 0);
    const chat = await Chat.open(window);
    await chat.ask("@asker", "And where does it start?", "It starts at the first.");
    seen.attended = { asked: provider.asked };
    await window.focus();
  } finally {
    provider.end();
  }
}
