//! Blocks do what they say: shell blocks run green, plans are read.

use std::{fmt::Write as _, fs, process::Command};

use autopack_domain::plan::{ReadOptions, read_plan};

use super::page;
use crate::repo;

#[test]
fn marked_blocks_run() {
    for page in page::all() {
        let mut script = String::new();
        let folder = tempfile::tempdir().expect("a folder");
        let mut written = 0;
        for block in &page.blocks {
            match block.mark.as_deref() {
                Some("run") => {
                    let _ = writeln!(script, "# {}:{}\n{}", page.path, block.line, block.text);
                }
                Some(mark) if mark.starts_with("file ") => {
                    // At its place in the script, so that a later block may replace it.
                    let name = format!(".block-{written}");
                    written += 1;
                    fs::write(folder.path().join(&name), &block.text).expect("the block");
                    let target = mark["file ".len()..].trim();
                    let _ = writeln!(
                        script,
                        "mkdir -p \"$(dirname '{target}')\"\nmv \"$BLOCKS/{name}\" '{target}'"
                    );
                }
                _ => {}
            }
        }
        if !script.contains("\n# ") && !script.starts_with("# ") {
            continue;
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let home = folder.path().join(".home");
        fs::create_dir(&home).expect("a home");
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(folder.path())
            .env("PATH", format!("{}:{path}", repo::bin_dir().display()))
            .env("BLOCKS", folder.path())
            .env("HOME", &home)
            .env("XDG_STATE_HOME", home.join("state"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_NAME", "Reader")
            .env("GIT_AUTHOR_EMAIL", "reader@example.com")
            .env("GIT_COMMITTER_NAME", "Reader")
            .env("GIT_COMMITTER_EMAIL", "reader@example.com")
            .output()
            .expect("bash runs");
        assert!(
            output.status.success(),
            "the blocks of {} end with {}\n-- script\n{script}\n-- stdout\n{}\n-- stderr\n{}",
            page.path,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
}

#[test]
fn shell_blocks_of_the_readme_are_all_run() {
    let ci = repo::read(".ci/run");
    for page in page::all() {
        for block in page.blocks.iter().filter(|block| block.is_shell()) {
            let mark = block.mark.as_deref().unwrap_or_default();
            let place = format!("{}:{}", page.path, block.line);
            if page.path == "README.md" {
                assert!(
                    ["run", "ci"].contains(&mark),
                    "{place}: the block has no docs-check mark"
                );
            }
            if mark != "ci" {
                continue;
            }
            for line in block.text.lines() {
                let command = line.split('#').next().unwrap_or_default().trim();
                let step = format!("step {command}\n");
                assert!(
                    command.is_empty() || ci.contains(&step),
                    "{place}: .ci/run does not run `{command}`"
                );
            }
        }
    }
}

#[test]
fn shown_plans_are_plans() {
    let mut count = 0;
    for page in page::all() {
        for block in &page.blocks {
            let mark = block.mark.as_deref().unwrap_or_default();
            if mark != "plan" && !mark.ends_with("plan.yaml") {
                continue;
            }
            count += 1;
            if let Err(faults) = read_plan(&block.text, &ReadOptions::default()) {
                panic!("{}:{}: {faults:#?}", page.path, block.line);
            }
        }
    }
    assert!(count >= 2, "README and docs/plan.md show plans");
}
