// Generated from the server by generate.py. Do not edit.

export const SUFFIXES = [".prompt.md", ".instructions.md", ".agent.md", ".chatmode.md"] as const;
export const NAMES = [".rules", "AGENTS.md", "CLAUDE.md", "GEMINI.md", "SKILL.md", "copilot-instructions.md"] as const;
export const BODIES = [".request.json", ".chat.json"] as const;
export const LANGUAGES = ["chatagent", "instructions", "prompt", "skill"] as const;
export const SCHEMES = ["file", "untitled", "vscode-remote", "vscode-userdata", "vscode-vfs"] as const;
export const SETTINGS = ["refine.enabled", "refine.max_hints", "refine.model_seconds", "ground.enabled", "cache.anchors", "cache.ttl", "cache.account", "route.enabled", "route.model", "route.allow", "route.pin", "route.success_usd", "route.sticky", "store.enabled", "store.text", "store.features", "store.names", "store.path", "editor.diagnostics", "editor.hover", "editor.inlay_hints", "editor.code_lens", "editor.chat", "engine.enabled", "engine.model", "engine.idle_seconds", "engine.deadline_seconds", "engine.conversation_megabytes", "gateway.mode", "gateway.plans", "gateway.port", "gateway.start", "gateway.anthropic", "gateway.openai", "gateway.gemini", "gateway.anthropic_key", "gateway.openai_key", "gateway.gemini_key", "gateway.keepalive_usd", "answers.reuse", "answers.hours", "answers.entries", "answers.megabytes", "budget.day", "budget.week", "budget.project", "budget.five_hour_percent", "budget.seven_day_percent", "budget.block", "files.providers", "files.models", "log.level"] as const;
