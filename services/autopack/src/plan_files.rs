//! The plan file and the files that it names.
//!
//! Invariant: no file outside the plan's folder is read, by whatever `..`, absolute path or symbolic link the plan
//! names it; every file that cannot be taken is reported at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use autopack_domain::{
    Fault, Reason,
    plan::{MAX_BYTES, Normalised, Plan, ReadOptions, parse_document, patch_paths, read_plan},
};

use crate::{aliases::absolute_path, error::CliError};

/// Largest file that a plan may name.
const MAX_FILE: u64 = 32 * 1024 * 1024;
/// Bytes of all files that a plan names.
const MAX_TOTAL: u64 = 256 * 1024 * 1024;

/// A document as written, and where the files that it names are looked for.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The text.
    pub(crate) text: String,
    /// The file, absolute; `-` for standard input.
    pub(crate) path: PathBuf,
    /// The folder of the files that it names.
    folder: PathBuf,
}

impl Document {
    /// Reads a file, or standard input for `-`.
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        if path == Path::new("-") {
            let text = bounded(std::io::stdin().lock())
                .map_err(|error| CliError::io("cannot read", path, &error))?;
            return Ok(Self {
                text: utf8(text, path)?,
                path: path.to_owned(),
                folder: absolute_path(Path::new("."))?,
            });
        }
        let file = File::open(path).map_err(|error| {
            let error = CliError::io("cannot read", path, &error);
            error.hint("name a plan file, YAML or JSON; docs/plan.md has the form")
        })?;
        let text = bounded(file).map_err(|error| CliError::io("cannot read", path, &error))?;
        let path = absolute_path(path)?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self {
            text: utf8(text, &path)?,
            path,
            folder,
        })
    }

    /// A text that was made for this file.
    pub(crate) fn made(text: String, path: &Path) -> Result<Self, CliError> {
        if path == Path::new("-") {
            let (path, folder) = (PathBuf::from("the plan"), absolute_path(Path::new("."))?);
            return Ok(Self { text, path, folder });
        }
        let path = absolute_path(path)?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { text, path, folder })
    }

    /// Reads it as a plan; every fault at once.
    pub(crate) fn plan(&self, mut options: ReadOptions) -> Result<Normalised, CliError> {
        options.name = self
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        read_plan(&self.text, &options).map_err(|faults| {
            let count = match faults.len() {
                1 => "1 fault".to_owned(),
                n => format!("{n} faults"),
            };
            let message = format!("{}: {count}", self.path.display());
            CliError::faults(Reason::PlanInvalid, message, faults)
        })
    }

    /// The files that a plan names, by path as written.
    pub(crate) fn files(&self, plan: &Plan) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
        let named = patch_paths(plan).map(|(phase, n, patch)| {
            let at = format!("phase {}: builder.patch[{n}]", phase.id);
            (patch.path.clone(), at)
        });
        self.take_all(named.collect())
    }

    /// The files that a single phase names.
    pub(crate) fn phase_files(&self) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let tree = parse_document(&self.text, &name).map_err(|fault| {
            let message = format!("{}: 1 fault", self.path.display());
            CliError::faults(Reason::PlanInvalid, message, vec![fault])
        })?;
        let named = match tree.get("builder").and_then(|builder| builder.get("patch")) {
            Some(serde_json::Value::String(one)) => vec![one.as_str()],
            Some(serde_json::Value::Array(several)) => {
                several.iter().filter_map(|one| one.as_str()).collect()
            }
            _ => Vec::new(),
        };
        let at = |(n, name): (usize, &str)| (name.to_owned(), format!("builder.patch[{n}]"));
        self.take_all(named.into_iter().enumerate().map(at).collect())
    }

    fn take_all(
        &self,
        named: BTreeSet<(String, String)>,
    ) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
        let mut files = BTreeMap::new();
        let mut faults = Vec::new();
        let mut total = 0;
        for (name, at) in named {
            if files.contains_key(&name) {
                continue;
            }
            match take(&self.folder, &name) {
                Ok(content) => {
                    total += content.len() as u64;
                    files.insert(name, content);
                }
                Err(problem) => faults.push(Fault::new(at, problem)),
            }
            if total > MAX_TOTAL {
                faults.push(Fault::new(
                    "plan",
                    format!("the files that it names have more than {MAX_TOTAL} bytes"),
                ));
                break;
            }
        }
        if faults.is_empty() {
            return Ok(files);
        }
        let message = format!(
            "{}: {} files cannot be taken",
            self.path.display(),
            faults.len()
        );
        Err(CliError::faults(Reason::PlanInvalid, message, faults)
            .hint(format!("files are looked for in {}", self.folder.display())))
    }
}

/// Reads one file below the folder, or says why not.
fn take(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let relative = Path::new(name);
    let plain = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    if name.is_empty() || !relative.components().all(plain) {
        return Err(format!(
            "`{name}` leaves the plan's folder; name a path below it"
        ));
    }
    let real = folder
        .join(relative)
        .canonicalize()
        .map_err(|error| format!("`{name}`: {error}"))?;
    let home = folder
        .canonicalize()
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    if !real.starts_with(&home) {
        return Err(format!("`{name}` is a link that leaves the plan's folder"));
    }
    let about = fs::metadata(&real).map_err(|error| format!("`{name}`: {error}"))?;
    if !about.is_file() {
        return Err(format!("`{name}` is not a regular file"));
    }
    let mut content = Vec::new();
    File::open(&real)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut content))
        .map_err(|error| format!("`{name}`: {error}"))?;
    if content.len() as u64 > MAX_FILE {
        return Err(format!("`{name}` has more than {MAX_FILE} bytes"));
    }
    Ok(content)
}

/// At most one byte more than a plan may have: the reader of plans says what is wrong with that.
fn bounded(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    source
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut content)?;
    Ok(content)
}

fn utf8(content: Vec<u8>, path: &Path) -> Result<String, CliError> {
    String::from_utf8(content).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        CliError::reason(
            Reason::PlanInvalid,
            format!(
                "{} is not UTF-8 text: byte {at} is not part of a character",
                path.display()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        let path = std::env::temp_dir().join(format!("autopack-plan-files-{}", std::process::id()));
        fs::create_dir_all(path.join("plan/patches")).unwrap();
        fs::write(path.join("outside.patch"), "secret").unwrap();
        fs::write(path.join("plan/patches/a.patch"), "diff").unwrap();
        let _ = std::os::unix::fs::symlink("../outside.patch", path.join("plan/link.patch"));
        path
    }

    #[test]
    fn files_are_confined_to_the_plans_folder() {
        let root = folder();
        let plan = root.join("plan");
        assert_eq!(take(&plan, "patches/a.patch").unwrap(), b"diff");
        assert_eq!(take(&plan, "./patches/a.patch").unwrap(), b"diff");
        let outside = root.join("outside.patch");
        for bad in [
            "../outside.patch",
            "patches/../../outside.patch",
            outside.to_str().unwrap(),
            "",
        ] {
            assert!(
                take(&plan, bad)
                    .unwrap_err()
                    .contains("leaves the plan's folder"),
                "{bad}"
            );
        }
        assert!(
            take(&plan, "link.patch")
                .unwrap_err()
                .contains("a link that leaves")
        );
        assert!(
            take(&plan, "patches")
                .unwrap_err()
                .contains("not a regular file")
        );
        assert!(take(&plan, "none.patch").is_err());
        fs::remove_dir_all(root).unwrap();
    }
}
