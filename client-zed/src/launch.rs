//! Which program is the server: the one of the user's settings, one on the worktree's PATH, or one that uv has installed.
//!
//! Nothing is downloaded, and uv is not asked to run it: `uvx` would answer in its own words where Anchorline is missing.

use zed_extension_api::{settings::CommandSettings, Command, EnvVars, Result};

/// The arguments with which uv lists its tools, each program with its path.
pub const UV_LIST: [&str; 3] = ["tool", "list", "--show-paths"];

const MISSING: &str =
    "Can't find the `anchorline` command: it is not on the PATH, and uv has no such tool. Install it \
     (`uv tool install git+https://github.com/anchorline/anchorline`), or name the program in the \
     setting `lsp.anchorline.binary.path`.";

/// Returns the command that starts the server in the environment of the user's shell.
///
/// `binary` is the user's setting, `which` looks a name up on the worktree's PATH, `uv` gives the path of the program
/// that uv has installed.
pub fn launch(
    binary: Option<CommandSettings>,
    shell: EnvVars,
    which: impl FnOnce(&str) -> Option<String>,
    uv: impl FnOnce() -> Option<String>,
) -> Result<Command> {
    let (path, args, env) =
        binary.map_or((None, None, None), |own| (own.path, own.arguments, own.env));
    Ok(Command {
        command: path
            .or_else(|| which("anchorline"))
            .or_else(uv)
            .ok_or(MISSING)?,
        args: args.unwrap_or_else(|| vec!["lsp".into()]),
        env: shell.into_iter().chain(env.unwrap_or_default()).collect(),
    })
}

/// Returns the program's path in what `uv tool list --show-paths` prints: `- anchorline (/home/a/.local/bin/anchorline)`.
pub fn program(listing: &str) -> Option<String> {
    listing.lines().find_map(|line| {
        let (name, path) = line.strip_prefix("- ")?.split_once(" (")?;
        let path = path.trim_end().strip_suffix(')')?;
        matches!(name, "anchorline" | "anchorline.exe").then(|| path.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(path: Option<&str>, arguments: Option<&[&str]>) -> Option<CommandSettings> {
        Some(CommandSettings {
            path: path.map(Into::into),
            arguments: arguments.map(|all| all.iter().map(ToString::to_string).collect()),
            env: Some([("SHARED".to_string(), "own".to_string())].into()),
        })
    }

    fn shell() -> EnvVars {
        vec![("SHARED".into(), "shell".into())]
    }

    fn on_path(name: &str) -> Option<String> {
        Some(format!("/bin/{name}"))
    }

    fn installed() -> Option<String> {
        Some("/tools/anchorline".into())
    }

    #[test]
    fn the_users_program_comes_first_then_the_path_then_uv() {
        let command = |binary, which: fn(&str) -> Option<String>| {
            launch(binary, shell(), which, installed)
                .expect("a command")
                .command
        };
        assert_eq!(command(binary(Some("/opt/a"), None), on_path), "/opt/a");
        assert_eq!(command(None, on_path), "/bin/anchorline");
        assert_eq!(command(None, |_| None), "/tools/anchorline");
    }

    #[test]
    fn arguments_may_be_set_without_a_program() {
        let args = |binary| launch(binary, shell(), on_path, installed).map(|found| found.args);
        assert_eq!(args(None), Ok(vec!["lsp".into()]));
        assert_eq!(
            args(binary(None, Some(&["lsp", "-v"]))),
            Ok(vec!["lsp".into(), "-v".into()])
        );
    }

    #[test]
    fn the_users_variables_come_after_the_shells() {
        let env = launch(binary(None, None), shell(), on_path, installed).map(|found| found.env);
        assert_eq!(env.expect("a command").last().unwrap().1, "own");
    }

    #[test]
    fn where_there_is_no_program_the_ways_out_are_named() {
        let message = launch(None, shell(), |_| None, || None).expect_err("nothing to start");
        assert!(message.contains("lsp.anchorline.binary.path"));
        assert!(message.contains("uv tool install"));
    }

    #[test]
    fn the_path_is_read_from_the_list_of_uvs_tools() {
        let listing = "\
anchorline v0.1.0 (/home/a (b)/tools/anchorline)
- anchorline (/home/a (b)/bin/anchorline)
ruff v0.15.0 (/home/a (b)/tools/ruff)
- ruff (/home/a (b)/bin/ruff)
";
        assert_eq!(
            program(listing).as_deref(),
            Some("/home/a (b)/bin/anchorline")
        );
        let windows = "- anchorline.exe (C:\\Users\\a\\.local\\bin\\anchorline.exe)\r\n";
        assert_eq!(
            program(windows).as_deref(),
            Some("C:\\Users\\a\\.local\\bin\\anchorline.exe")
        );
        assert_eq!(program("No tools installed\n"), None);
        assert_eq!(
            program("- anchorline-other (/bin/anchorline-other)\n"),
            None
        );
    }
}
