//! Builders that lie, cheat or attack: a corpus of scripts as data (`scripts.toml`), each with the cause it must end for.
//!
//! Invariant: whatever a script tries, no ref of the target moves, nothing that it was after is in any record, and
//! neither a process nor a file of it is left.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use autopack_testkit::processes::none_left_but;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::rig::{Played, play_with};

/// What no script may get hold of.
const CANARY: &str = "canary-4f1d9a77-do-not-leak";

/// One dishonest builder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    name: String,
    group: String,
    run: String,
    /// The cause of the failed attempt.
    cause: String,
    /// Words that its detail holds.
    #[serde(default)]
    says: Vec<String>,
    scope: Option<Vec<String>>,
    #[serde(default)]
    protected: Vec<String>,
    #[serde(default)]
    deliverables: Vec<String>,
    /// A step that counts tests.
    test: Option<String>,
    /// A step whose exit code decides.
    check: Option<String>,
    #[serde(default)]
    limits: Map<String, Value>,
    timeout: Option<u32>,
    /// A process of it is ended by the host.
    #[serde(default)]
    left_behind: bool,
}

#[derive(Deserialize)]
struct Corpus {
    script: Vec<Script>,
}

fn corpus() -> Vec<Script> {
    let corpus: Corpus = toml::from_str(include_str!("scripts.toml")).unwrap();
    corpus.script
}

/// What scripts are told about the places they are after.
struct Victims {
    repo: String,
    data: String,
    home: String,
    mark: String,
    listener: TcpListener,
}

impl Victims {
    fn of(autopack: &Autopack, repo: &TempRepo) -> Self {
        let shown = |path: &Path| path.to_str().unwrap().to_owned();
        let ssh = autopack.home().join(".ssh");
        fs::create_dir_all(&ssh).unwrap();
        fs::write(ssh.join("id_ed25519"), CANARY).unwrap();
        fs::write(autopack.home().join(".netrc"), CANARY).unwrap();
        // Makes the data directory.
        autopack.call(&["runs"]);
        fs::write(autopack.data().join("note"), CANARY).unwrap();
        Self {
            repo: shown(repo.path()),
            data: shown(autopack.data()),
            home: shown(&autopack.home()),
            mark: format!("autopack-dishonest-{}", std::process::id()),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    fn fill(&self, text: &str) -> String {
        let port = self.listener.local_addr().unwrap().port().to_string();
        [
            ("{REPO}", self.repo.as_str()),
            ("{DATA}", &self.data),
            ("{HOME}", &self.home),
            ("{MARK}", &self.mark),
            ("{PORT}", &port),
        ]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Files that a script may have left anywhere it could think of.
    fn marks(&self) -> Vec<String> {
        let places = [
            "/tmp",
            "/var/tmp",
            "/dev/shm",
            "/etc/cron.d",
            "/run",
            self.home.as_str(),
            self.repo.as_str(),
        ];
        let found = places.iter().map(|place| format!("{place}/{}", self.mark));
        found
            .filter(|path| Path::new(path).symlink_metadata().is_ok())
            .collect()
    }
}

fn phase(script: &Script, victims: &Victims) -> Phase {
    let builder = json!({
        "kind": "command",
        "run": victims.fill(&script.run),
        "timeout_seconds": script.timeout.unwrap_or(60),
    });
    let mut scope =
        json!({ "protected_paths": script.protected, "deliverables": script.deliverables });
    if let Some(paths) = &script.scope {
        scope["paths"] = json!(paths);
    }
    let step = |run: &Option<String>, kind: &str| {
        let run = run.as_ref()?;
        Some(json!({ "run": victims.fill(run), "kind": kind }))
    };
    let steps: Vec<Value> = step(&script.test, "test")
        .into_iter()
        .chain(step(&script.check, "check"))
        .collect();
    Phase::command(&script.name, "")
        .set("builder", builder)
        .set("scope", scope)
        .set("gate", json!({ "steps": steps }))
        .set("limits", script.limits.clone())
        .set("max_attempts", 1)
        .after(&[])
}

/// Plays all scripts of a group as independent phases of one run.
fn ends_rightly(group: &str) {
    let scripts: Vec<Script> = corpus()
        .into_iter()
        .filter(|script| script.group == group)
        .collect();
    assert!(!scripts.is_empty(), "no script is in the group {group}");
    let autopack = Autopack::new().with("DISHONEST_TOKEN", CANARY);
    let repo = TempRepo::small();
    repo.write("secrets/there.txt", "protected\n");
    repo.write("src/lib.txt", "in scope\n");
    repo.commit("Places");
    let victims = Victims::of(&autopack, &repo);
    let refs = repo.git(&["for-each-ref"]);
    let plan = scripts.iter().fold(Plan::new("demo"), |plan, script| {
        plan.phase(phase(script, &victims))
    });
    let played = play_with(autopack, "demo", repo, &plan);

    assert_eq!(
        played.answer.done.code,
        Some(3),
        "{}",
        played.answer.done.stderr
    );
    let mut wrong = Vec::new();
    for script in &scripts {
        wrong.extend(differences(&played, script));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(played.repo.git(&["for-each-ref"]), refs, "no ref moves");
    assert!(!played.repo.git_dir().join("hooks/pre-commit").exists());
    assert_eq!(victims.marks(), Vec::<String>::new(), "files are left");
    let folders = [played.autopack.data(), Path::new(&victims.mark)];
    none_left_but(&folders, &[std::process::id()]);
}

/// What of the record is not as it must be.
fn differences(played: &Played, script: &Script) -> Vec<String> {
    let attempts = played.autopack.attempts("demo");
    let of_it: Vec<&Value> = attempts
        .iter()
        .filter(|attempt| attempt["phase"] == script.name.as_str())
        .collect();
    let Some(last) = of_it.last() else {
        return vec![format!("{}: no attempt", script.name)];
    };
    let mut wrong = Vec::new();
    let mut unless = |good: bool, what: String| {
        if !good {
            wrong.push(format!("{}: {what}; {last:#}", script.name));
        }
    };
    unless(
        last["cause"] == script.cause.as_str(),
        format!("ends for {} and not for {}", last["cause"], script.cause),
    );
    let detail = last["detail"].as_str().unwrap_or_default();
    for word in &script.says {
        unless(
            detail.contains(word.as_str()),
            format!("`{word}` is not told"),
        );
    }
    unless(
        !last.to_string().contains(CANARY),
        "the canary is in the record".into(),
    );
    for artifact in last["artifacts"].as_array().into_iter().flatten() {
        let text = played
            .autopack
            .artifact(artifact["digest"].as_str().unwrap_or_default());
        unless(
            !text.contains(CANARY),
            format!("the canary is in {}", artifact["name"]),
        );
    }
    let layers = last["facts"]["layers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for layer in ["supervisor", "landlock", "mounts"] {
        unless(
            layers.contains(&layer.into()),
            format!("the layer {layer} is not in the record"),
        );
    }
    let left = last["facts"]["left_behind"].as_u64().unwrap_or_default();
    unless(
        !script.left_behind || left > 0,
        "nothing was left behind".into(),
    );
    wrong
}

#[test]
fn the_corpus_has_its_size_and_no_name_twice() {
    let corpus = corpus();
    let names: std::collections::BTreeSet<&str> =
        corpus.iter().map(|script| script.name.as_str()).collect();
    assert_eq!(names.len(), corpus.len());
    assert!(corpus.len() >= 40, "{}", corpus.len());
}

macro_rules! groups {
    ($($group:ident)*) => {$(
        #[test]
        fn $group() {
            ends_rightly(stringify!($group));
        }
    )*
        #[test]
        fn every_script_is_in_a_group_that_is_played() {
            let played = [$(stringify!($group)),*];
            for script in corpus() {
                assert!(played.contains(&script.group.as_str()), "{}", script.name);
            }
        }
    };
}

groups! { claims paths gates repository reach processes volume }
