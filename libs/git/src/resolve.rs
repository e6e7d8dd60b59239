//! From the plan's `base` to a commit.
//!
//! Invariant: only what was fetched from the target counts, branches before tags before commits; nothing is guessed.

use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::Oid;
use crate::refs::{self, TARGET_PREFIX, check_branch_name};
use crate::target::Target;

/// How many close names a missing base lists.
const CLOSE: usize = 10;

/// Why a base is no commit.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The repository has no commit: start from [`OwnClone::empty_tree`] and a root commit.
    #[error(
        "the repository has no commits, so there is no base {name:?}; the first phase makes the root commit"
    )]
    EmptyRepository {
        /// As asked for.
        name: String,
    },
    /// No branch, tag or commit has this name.
    #[error(
        "the repository has no branch, tag or commit {name:?}; {}",
        close_text(close)
    )]
    BaseMissing {
        /// As asked for.
        name: String,
        /// Branches and tags with the most similar names, at most ten.
        close: Vec<String>,
    },
    /// The git layer failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

fn close_text(close: &[String]) -> String {
    if close.is_empty() {
        "give one that exists".to_owned()
    } else {
        format!("the closest are {}", close.join(", "))
    }
}

impl OwnClone {
    /// The commit that a base names, after [`OwnClone::fetch`] of [`crate::FetchRefs::All`]: a branch, a tag, a commit
    /// (at least 7 digits), or `HEAD`. A full commit name that no reference reaches is fetched by itself.
    pub async fn resolve_base(&self, target: &Target, name: &str) -> Result<Oid, BaseError> {
        if let Some(found) = self.look_up(name).await? {
            return Ok(found);
        }
        if Oid::parse(name).is_ok()
            && self.fetch_specs(target, &[name.to_owned()]).await.is_ok()
            && let Some(found) = self.look_up(name).await?
        {
            return Ok(found);
        }
        let known = refs::list(self, TARGET_PREFIX).await?;
        if known.is_empty() {
            return Err(BaseError::EmptyRepository {
                name: name.to_owned(),
            });
        }
        let names = known.iter().filter_map(|(full, _)| {
            let rest = full.strip_prefix(TARGET_PREFIX)?;
            rest.strip_prefix("heads/")
                .or_else(|| rest.strip_prefix("tags/"))
        });
        Err(BaseError::BaseMissing {
            name: name.to_owned(),
            close: closest(name, names),
        })
    }

    async fn look_up(&self, name: &str) -> Result<Option<Oid>, GitError> {
        let mut asked = Vec::new();
        if name == "HEAD" {
            asked.push(format!("{TARGET_PREFIX}HEAD^{{commit}}"));
        } else if check_branch_name(name).is_ok() {
            let short = name.strip_prefix("refs/").unwrap_or(name);
            if short != name {
                asked.push(format!("{TARGET_PREFIX}{short}^{{commit}}"));
            }
            asked.push(format!("{TARGET_PREFIX}heads/{name}^{{commit}}"));
            asked.push(format!("{TARGET_PREFIX}tags/{name}^{{commit}}"));
        }
        let hex = (7..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit());
        if hex {
            asked.push(format!("{name}^{{commit}}"));
        }
        if asked.is_empty() {
            return Ok(None);
        }
        let stdin = format!("{}\n", asked.join("\n"));
        let call = self
            .read("cat-file")
            .arg("--batch-check=%(objectname) %(objecttype)")
            .stdin(stdin);
        let output = call.ok().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let found = text.lines().find_map(|line| line.strip_suffix(" commit"));
        found.map(Oid::parse).transpose()
    }
}

/// The names most like `wanted`, best first.
fn closest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut ranked: Vec<(usize, &str)> = names
        .take(5_000)
        .map(|name| (distance(wanted, name), name))
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked
        .into_iter()
        .take(CLOSE)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Edits from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_names_come_first() {
        let names = ["release", "main", "maint", "master"];
        assert_eq!(closest("mian", names.into_iter())[0], "main");
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
