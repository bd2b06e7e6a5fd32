//! Anchorline's language server in Zed.

mod launch;

use launch::{launch, Chosen};
use zed_extension_api::{
    self as zed, serde_json, settings::LspSettings, LanguageServerId, Result, Worktree,
};

struct Anchorline;

impl zed::Extension for Anchorline {
    fn new() -> Self {
        Self
    }

    fn language_server_command(
        &mut self,
        id: &LanguageServerId,
        worktree: &Worktree,
    ) -> Result<zed::Command> {
        let binary = LspSettings::for_worktree(id.as_ref(), worktree)?.binary;
        let chosen = binary.map_or_else(Chosen::default, |own| Chosen {
            path: own.path,
            arguments: own.arguments,
            environment: own.env.unwrap_or_default().into_iter().collect(),
        });
        let found = launch(chosen, |name| worktree.which(name))?;
        let mut env = worktree.shell_env();
        env.extend(found.environment);
        Ok(zed::Command {
            command: found.command,
            args: found.arguments,
            env,
        })
    }

    fn language_server_initialization_options(
        &mut self,
        id: &LanguageServerId,
        worktree: &Worktree,
    ) -> Result<Option<serde_json::Value>> {
        Ok(LspSettings::for_worktree(id.as_ref(), worktree)?.initialization_options)
    }

    fn language_server_workspace_configuration(
        &mut self,
        id: &LanguageServerId,
        worktree: &Worktree,
    ) -> Result<Option<serde_json::Value>> {
        Ok(LspSettings::for_worktree(id.as_ref(), worktree)?.settings)
    }
}

zed::register_extension!(Anchorline);
