//! Which program is the server: the one of the user's settings, one on the PATH, or one that uv has installed.
//!
//! Nothing is downloaded: uv is asked for what it has (`--offline`).

/// What the user's settings say (`lsp.anchorline.binary`).
#[derive(Default)]
pub struct Chosen {
    pub path: Option<String>,
    pub arguments: Option<Vec<String>>,
    pub environment: Vec<(String, String)>,
}

/// A command to run.
#[derive(Debug, PartialEq)]
pub struct Found {
    pub command: String,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
}

const MISSING: &str =
    "anchorline was not found. Install it (`uv tool install` or `pipx install` in a clone of its \
     repository), or set `lsp.anchorline.binary.path` to the program.";

/// Ways to run what uv has installed: the program, and what stands before Anchorline's own arguments.
const UV: [(&str, &[&str]); 2] = [
    ("uvx", &["--offline", "anchorline"]),
    ("uv", &["tool", "run", "--offline", "anchorline"]),
];

/// Return the command that starts the server. `which` looks a name up on the worktree's PATH.
pub fn launch(chosen: Chosen, which: impl Fn(&str) -> Option<String>) -> Result<Found, String> {
    let (command, before) = chosen
        .path
        .map(|path| (path, [].as_slice()))
        .or_else(|| which("anchorline").map(|path| (path, [].as_slice())))
        .or_else(|| {
            UV.iter()
                .find_map(|(name, before)| which(name).map(|path| (path, *before)))
        })
        .ok_or(MISSING)?;
    let own = chosen.arguments.unwrap_or_else(|| vec!["lsp".into()]);
    let arguments = before.iter().map(ToString::to_string).chain(own).collect();
    Ok(Found {
        command,
        arguments,
        environment: chosen.environment,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_path(names: &'static [&'static str]) -> impl Fn(&str) -> Option<String> {
        move |name| names.contains(&name).then(|| format!("/bin/{name}"))
    }

    fn started(chosen: Chosen, names: &'static [&'static str]) -> (String, Vec<String>) {
        let found = launch(chosen, on_path(names)).expect("a command");
        (found.command, found.arguments)
    }

    #[test]
    fn the_program_on_the_path_is_started() {
        assert_eq!(
            started(Chosen::default(), &["uv", "anchorline", "uvx"]),
            ("/bin/anchorline".into(), vec!["lsp".into()])
        );
    }

    #[test]
    fn the_users_own_program_comes_first_with_its_arguments_and_environment() {
        let chosen = Chosen {
            path: Some("/opt/anchorline".into()),
            arguments: Some(vec!["lsp".into(), "--log-level".into(), "debug".into()]),
            environment: vec![("ANCHORLINE_CONFIG".into(), "/tmp/a.toml".into())],
        };
        let found = launch(chosen, on_path(&["anchorline"])).expect("a command");
        assert_eq!(found.command, "/opt/anchorline");
        assert_eq!(found.arguments, ["lsp", "--log-level", "debug"]);
        assert_eq!(
            found.environment,
            [("ANCHORLINE_CONFIG".to_string(), "/tmp/a.toml".to_string())]
        );
    }

    #[test]
    fn own_arguments_without_a_program_go_to_the_one_that_is_found() {
        let chosen = Chosen {
            arguments: Some(vec!["lsp".into(), "-v".into()]),
            ..Chosen::default()
        };
        assert_eq!(
            started(chosen, &["uvx"]).1,
            ["--offline", "anchorline", "lsp", "-v"]
        );
    }

    #[test]
    fn uv_is_asked_only_for_what_it_has_installed() {
        for names in [&["uvx"][..], &["uv"][..]] {
            let (_, arguments) = started(Chosen::default(), names);
            assert!(arguments.contains(&"--offline".to_string()));
            assert_eq!(arguments.last().map(String::as_str), Some("lsp"));
        }
        assert_eq!(started(Chosen::default(), &["uv"]).1[..2], ["tool", "run"]);
    }

    #[test]
    fn where_nothing_is_found_the_way_out_is_named() {
        let said = launch(Chosen::default(), on_path(&[])).expect_err("nothing to start");
        assert!(said.contains("lsp.anchorline.binary.path"));
        assert!(said.contains("install"));
    }
}
