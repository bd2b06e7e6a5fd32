// Generated from the server by generate.py. Do not edit.

/** Agents whose sessions `anchorline import` reads. */
export const AGENTS = [
  { label: "Claude Code", tool: "claude-code" },
  { label: "Codex", tool: "codex" },
  { label: "OpenCode", tool: "opencode" },
  { label: "Pi", tool: "pi" },
  { label: "Cline", tool: "cline" },
  { label: "Copilot CLI", tool: "copilot-cli" },
  { label: "Gemini CLI", tool: "gemini-cli" },
  { label: "Qwen Code", tool: "qwen-code" },
];
