//! The command line, environment and standard input of one attempt.
//!
//! Invariant: the prompt is in none of the arguments; what the plan adds comes after what the manifest says.

use std::collections::BTreeMap;

use crate::manifest::{Manifest, Prompt, When};
use crate::probe::Probe;

/// What an attempt asks for.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The program, instead of the manifest's; empty: the manifest's.
    pub program: &'a str,
    /// The model; empty: the agent's own choice.
    pub model: &'a str,
    /// The cap on turns.
    pub max_turns: Option<u32>,
    /// The plan's own arguments.
    pub args: &'a [String],
    /// The file that holds the prompt.
    pub prompt_file: &'a str,
    /// The file that the agent may write its events to.
    pub events_file: &'a str,
    /// The attempt's private home.
    pub home: &'a str,
    /// The folder to work in.
    pub folder: &'a str,
    /// Our id for the session, a UUID.
    pub session: &'a str,
}

/// What is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables that are set.
    pub env: BTreeMap<String, String>,
    /// What is lost because the program lacks a flag, by name.
    pub degraded: Vec<String>,
}

/// The command line for a program of which `probe` is known.
pub fn invocation(manifest: &Manifest, request: &Request<'_>, probe: &Probe) -> Invocation {
    let program = if request.program.is_empty() {
        &manifest.program
    } else {
        request.program
    };
    let mut argv = vec![program.to_owned()];
    let mut degraded = Vec::new();
    for group in &manifest.args {
        let wanted = match group.when {
            None => true,
            Some(When::Model) => !request.model.is_empty(),
            Some(When::MaxTurns) => request.max_turns.is_some(),
        };
        if !wanted {
            continue;
        }
        if group.flags.iter().all(|flag| probe.knows(flag)) {
            argv.extend(group.words.iter().map(|word| fill(word, request)));
        } else {
            degraded.push(group.degrades.clone());
        }
    }
    argv.extend(request.args.iter().cloned());
    let set = manifest.env.set.iter();
    Invocation {
        argv,
        env: set
            .map(|(name, value)| (name.clone(), fill(value, request)))
            .collect(),
        degraded,
    }
}

/// What goes to standard input and is followed by its end; `None`: it is closed from the start, or talked over.
pub fn stdin(manifest: &Manifest, prompt: &str) -> Option<Vec<u8>> {
    (manifest.prompt == Prompt::Stdin).then(|| prompt.as_bytes().to_vec())
}

fn fill(word: &str, request: &Request<'_>) -> String {
    if !word.contains('{') {
        return word.to_owned();
    }
    let turns = request.max_turns.unwrap_or_default().to_string();
    [
        ("{model}", request.model),
        ("{max_turns}", &turns),
        ("{prompt_file}", request.prompt_file),
        ("{events_file}", request.events_file),
        ("{session}", request.session),
        ("{folder}", request.folder),
        ("{home}", request.home),
    ]
    .iter()
    .fold(word.to_owned(), |word, (name, value)| {
        word.replace(name, value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_domain::plan::Adapter;

    fn request<'a>() -> Request<'a> {
        Request {
            model: "m1",
            max_turns: Some(7),
            prompt_file: "/x/prompt.md",
            events_file: "/x/events.jsonl",
            home: "/x/home",
            folder: "/x/tree",
            session: "0000",
            ..Request::default()
        }
    }

    #[test]
    fn claude_gets_its_flags_and_loses_the_cap_by_name() {
        let claude = Manifest::of(Adapter::Claude);
        let all = invocation(claude, &request(), &Probe::default());
        let line = all.argv.join(" ");
        assert!(
            line.starts_with("claude -p --output-format stream-json --verbose"),
            "{line}"
        );
        assert!(
            line.contains("--model m1") && line.contains("--max-turns 7"),
            "{line}"
        );
        assert_eq!(all.env["CLAUDE_CONFIG_DIR"], "/x/home/.claude");
        assert!(all.degraded.is_empty());
        let flags: Vec<&str> = claude
            .args
            .iter()
            .flat_map(|g| &g.flags)
            .map(String::as_str)
            .collect();
        let help = flags.join("\n").replace("--strict-mcp-config", "--other");
        let less = invocation(claude, &request(), &Probe::read("2.1.0", &help));
        assert!(!less.argv.contains(&"--strict-mcp-config".to_owned()));
        assert_eq!(less.degraded, ["no_tool_server_ban"]);
    }

    #[test]
    fn no_variable_is_left_and_no_prompt_is_an_argument() {
        for manifest in Manifest::all() {
            for request in [
                request(),
                Request {
                    model: "",
                    max_turns: None,
                    ..request()
                },
            ] {
                let made = invocation(manifest, &request, &Probe::default());
                assert!(
                    !made.argv.iter().any(|word| word.contains(['{', '}'])),
                    "{:?}",
                    made.argv
                );
                assert_eq!(
                    made.argv.contains(&"m1".to_owned()),
                    !request.model.is_empty()
                        && manifest.args.iter().any(|g| g.when == Some(When::Model))
                );
            }
            let input = stdin(manifest, "do it");
            assert_eq!(
                input.is_some(),
                manifest.prompt == Prompt::Stdin,
                "{}",
                manifest.name
            );
        }
    }

    #[test]
    fn the_plans_words_come_last() {
        let args = ["--acp".to_owned()];
        let request = Request {
            program: "agent",
            args: &args,
            ..Request::default()
        };
        let made = invocation(Manifest::of(Adapter::Acp), &request, &Probe::default());
        assert_eq!(made.argv, ["agent", "--acp"]);
    }
}
