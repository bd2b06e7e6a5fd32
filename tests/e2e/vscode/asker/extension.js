/** A chat participant that asks the model which the developer has picked: VS Code's own needs an account. */
const { chat, LanguageModelChatMessage } = require("vscode");

exports.activate = (context) => {
  const asker = chat.createChatParticipant("tests.asker", async (request, _history, stream, token) => {
    const answer = await request.model.sendRequest([LanguageModelChatMessage.User(request.prompt)], {}, token);
    for await (const text of answer.text) {
      stream.markdown(text);
    }
  });
  context.subscriptions.push(asker);
};
