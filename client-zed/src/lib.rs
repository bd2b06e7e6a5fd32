//! Anchorline's language server in Zed.

mod launch;

use launch::{launch, program, UV_LIST};
use zed_extension_api::{
    self as zed,
    serde_json::{json, Value},
    settings::LspSettings,
    LanguageServerId, Result, Worktree,
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
        let uv = || worktree.which("uv").and_then(|_| installed_by_uv(worktree));
        launch(
            binary,
            worktree.shell_env(),
            |name| worktree.which(name),
            uv,
        )
    }

    fn language_server_initialization_options(
        &mut self,
        id: &LanguageServerId,
        worktree: &Worktree,
    ) -> Result<Option<Value>> {
        Ok(LspSettings::for_worktree(id.as_ref(), worktree)?.initialization_options)
    }

    /// Returns the settings under the name of the section that the server asks for.
    fn language_server_workspace_configuration(
        &mut self,
        id: &LanguageServerId,
        worktree: &Worktree,
    ) -> Result<Option<Value>> {
        let settings = LspSettings::for_worktree(id.as_ref(), worktree)?.settings;
        Ok(settings.map(|own| json!({ "anchorline": own })))
    }
}

/// Returns the path of the program that uv has installed; none as well where uv can't be asked.
///
/// uv is called by its name, the only command that `extension.toml` allows.
fn installed_by_uv(worktree: &Worktree) -> Option<String> {
    let output = zed::process::Command::new("uv")
        .args(UV_LIST)
        .envs(worktree.shell_env())
        .output()
        .ok()?;
    program(&String::from_utf8_lossy(&output.stdout))
}

zed::register_extension!(Anchorline);
