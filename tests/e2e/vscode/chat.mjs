/** VS Code's chat, where it stands: a draft, a model, a question, an answer. */
export class Chat {
  constructor(window, place) {
    this.window = window;
    this.box = window.page.locator(`.part.${place} .interactive-session:visible`);
    this.input = this.box.locator(".chat-editor-container .monaco-editor").first();
  }

  /** Open the chat beside the text. */
  static async open(window) {
    const chat = new Chat(window, "auxiliarybar");
    await window.run("Chat: Open Chat");
    await chat.input.waitFor();
    return chat;
  }

  /** What stands in the input; lines are wrapped there. */
  async text() {
    return (await this.input.locator(".view-lines").innerText()).replaceAll(/\s+/g, " ").trim();
  }

  /** Write a draft. What comes late takes the place of what was typed (a completion, the session): then it is typed anew. */
  async write(draft) {
    await this.window.until("the draft in the chat", async () => {
      await this.input.click();
      await this.window.keys.press("Control+a");
      await this.window.keys.type(draft);
      return (await this.text()) === draft.trim();
    });
  }

  /** Pick a model. */
  async pick(model) {
    const row = this.window.page.locator(".action-widget .monaco-list-row", { hasText: model });
    const picker = this.box.locator(".model-picker-split");
    await this.window.act("the model in the picker", () => picker.click(), row);
    await row.click();
    await picker.filter({ hasText: model }).waitFor();
  }

  /** Ask a participant, and wait for the answer. */
  async ask(participant, question, answer) {
    const sent = this.box.locator(".interactive-request", { hasText: question });
    const draft = `${participant} ${question}`;
    let entered = false;
    await this.window.until("the question in the chat", async () => {
      if (await sent.isVisible()) {
        return true;
      }
      const text = await this.text();
      if (text === draft) {
        await this.window.keys.press("Enter");
        entered = true;
      } else if (!(entered && text === "")) {
        await this.write(`${draft} `);
      }
      return false;
    });
    await this.box.getByText(answer).waitFor();
  }
}
