//! The report of a gate's step: what it printed, or files that it wrote.
//!
//! Invariant: only files inside the checkout or the host's own folder are read, no link is followed, a file that was
//! there before the step began is none of its reports, and what is read is bounded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use autopack_domain::plan::{ReportKind, StepKind, StepSpec};
use autopack_policy::report::source::{GRADLE_REPORTS, MAVEN_REPORTS};
use autopack_policy::report::{MAX_REPORT, Reading, detect, read};

use crate::repo::bench::{Bench, blocking};

/// Most files of one report.
const MAX_FILES: usize = 2000;
/// Most bytes of all files of one report.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Deepest folder, and most entries, that are looked at.
const MAX_DEPTH: usize = 16;
const MAX_ENTRIES: usize = 200_000;
/// Folders that hold other people's code.
const LEFT_OUT: &[&str] = &[".git", "node_modules", ".venv", "vendor"];

/// Where the reports of one step will be.
pub(super) struct Expected {
    root: PathBuf,
    pytest: Option<PathBuf>,
    /// Written just before the step, so that older files can be told.
    mark: PathBuf,
}

impl Expected {
    /// Prepares for a step, and tells runners that listen to a variable where to write.
    pub(super) fn before(
        bench: &Bench,
        step: &StepSpec,
        env: &mut BTreeMap<String, String>,
    ) -> Self {
        const OPTIONS: &str = "PYTEST_ADDOPTS";
        let folder = bench.exchange();
        let wanted = step.kind == StepKind::Test
            && !step.env.contains_key(OPTIONS)
            && step
                .report
                .as_ref()
                .is_none_or(|report| report.path.is_empty());
        let pytest = wanted.then(|| folder.join("pytest.xml"));
        if let Some(file) = &pytest {
            let _ = fs::remove_file(file);
            let options = format!("-o junit_family=xunit1 --junitxml={}", file.display());
            env.insert(OPTIONS.to_owned(), options);
        }
        let mark = folder.join("step-begins");
        let _ = fs::remove_file(&mark);
        let _ = fs::write(&mark, "");
        Self {
            root: bench.tree(),
            pytest,
            mark,
        }
    }

    /// The report of the step that has ended; `None`: nothing of a known form was found.
    pub(super) async fn after(self, step: &StepSpec, output: String) -> Option<Reading> {
        let step = step.clone();
        blocking(move || Ok(self.look(&step, &output))).await.ok()?
    }

    fn look(&self, step: &StepSpec, output: &str) -> Option<Reading> {
        let source = detect(step, output);
        let root = self.root.to_string_lossy();
        let junit = |files: &[String]| {
            let texts: Vec<&str> = files.iter().map(String::as_str).collect();
            read(ReportKind::Junit, &texts, &root)
        };
        let declared = source.as_ref().filter(|source| source.declared);
        if let Some(source) = declared
            && let Some(path) = &source.files
        {
            let files = self.declared(path);
            let texts: Vec<&str> = files.iter().map(String::as_str).collect();
            let found = read(source.kind, &texts, &root);
            return found.or_else(|| Some(missing(source.kind, path)));
        }
        let is_pytest = source.as_ref().is_none_or(|s| s.kind == ReportKind::Pytest);
        if is_pytest
            && let Some(file) = &self.pytest
            && let Some(text) = text_of(file)
        {
            return junit(&[text]);
        }
        let source = source?;
        match &source.files {
            Some(pattern) => junit(&self.found(pattern, &step.dir)),
            None => read(source.kind, &[output], &root),
        }
    }

    /// The file at a path of the plan, or the XML files below it.
    fn declared(&self, path: &str) -> Vec<String> {
        let Some(at) = inside(&self.root, path) else {
            return Vec::new();
        };
        let Some(began) = self.began() else {
            return Vec::new();
        };
        if at.is_file() {
            return fresh(&at, began)
                .and_then(|()| text_of(&at))
                .into_iter()
                .collect();
        }
        texts(files(&at, &is_xml), began)
    }

    /// The files of a known pattern below a folder.
    fn found(&self, pattern: &str, dir: &str) -> Vec<String> {
        let folder = match pattern {
            MAVEN_REPORTS => "target/surefire-reports/",
            GRADLE_REPORTS => "build/test-results/",
            _ => return Vec::new(),
        };
        let (Some(at), Some(began)) = (inside(&self.root, dir), self.began()) else {
            return Vec::new();
        };
        let wanted = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            path.contains(folder) && name.starts_with("TEST-") && is_xml(name)
        };
        texts(files(&at, &wanted), began)
    }

    fn began(&self) -> Option<SystemTime> {
        fs::metadata(&self.mark)
            .and_then(|meta| meta.modified())
            .ok()
    }
}

fn is_xml(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("xml"))
}

fn missing(kind: ReportKind, path: &str) -> Reading {
    Reading {
        kind,
        tests: Vec::new(),
        whole: false,
        problem: Some(format!("the step has not written its report `{path}`")),
    }
}

/// A path below the root, with no link on its way.
fn inside(root: &Path, path: &str) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let at = root.join(path);
    let real = at.canonicalize().ok()?;
    (real == at || path.is_empty()).then_some(real)
}

/// Files below a folder whose path is wanted, in a fixed order.
fn files(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    let mut seen = 0;
    while let Some((at, depth)) = open.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MAX_ENTRIES || found.len() >= MAX_FILES {
                break;
            }
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            if kind.is_dir() {
                let name = entry.file_name();
                if depth < MAX_DEPTH && !LEFT_OUT.iter().any(|out| name == *out) {
                    open.push((path, depth + 1));
                }
            } else if kind.is_file()
                && let Ok(below) = path.strip_prefix(folder)
                && wanted(&below.to_string_lossy())
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A file that was written since the step began.
fn fresh(path: &Path, began: SystemTime) -> Option<()> {
    let meta = fs::symlink_metadata(path).ok()?;
    (meta.is_file() && meta.modified().ok()? >= began).then_some(())
}

fn texts(files: Vec<PathBuf>, began: SystemTime) -> Vec<String> {
    let mut bytes = 0;
    let mut texts = Vec::new();
    for path in files {
        let Some(text) = fresh(&path, began).and_then(|()| text_of(&path)) else {
            continue;
        };
        bytes += text.len() as u64;
        if bytes > MAX_BYTES {
            break;
        }
        texts.push(text);
    }
    texts
}

/// A file's beginning as text; `None`: it is no file, or cannot be read.
fn text_of(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let meta = fs::symlink_metadata(path).ok()?;
    if !meta.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(MAX_REPORT as u64).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(run: &str, report: Option<autopack_domain::plan::ReportSpec>) -> StepSpec {
        StepSpec {
            run: run.to_owned(),
            kind: StepKind::Test,
            dir: String::new(),
            timeout_seconds: 1,
            env: BTreeMap::new(),
            report,
        }
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    const ONE: &str = "<testsuite><testcase classname='a' name='b'/></testsuite>";

    async fn bench() -> (tempfile::TempDir, Bench) {
        let temp = tempfile::tempdir().unwrap();
        let bench = Bench::new(temp.path());
        bench.reset().await.unwrap();
        fs::create_dir(bench.tree()).unwrap();
        (temp, bench)
    }

    #[tokio::test]
    async fn files_of_all_modules_are_one_report_and_older_ones_and_links_are_none() {
        let (temp, bench) = bench().await;
        let old = bench
            .tree()
            .join("old/target/surefire-reports/TEST-Old.xml");
        write(&old, &ONE.replace('b', "old"));
        let hour = std::time::Duration::from_hours(1);
        let before = fs::metadata(&old).unwrap().modified().unwrap() - hour;
        fs::File::open(&old).unwrap().set_modified(before).unwrap();
        let step = step("mvn -B test", None);
        let mut env = BTreeMap::new();
        let expected = Expected::before(&bench, &step, &mut env);
        for module in ["one", "two/deep"] {
            let name = format!("{module}/target/surefire-reports/TEST-{}.xml", module.len());
            write(&bench.tree().join(name), &ONE.replace('b', module));
        }
        let outside = temp.path().join("outside/target/surefire-reports");
        write(&outside.join("TEST-x.xml"), &ONE.replace('b', "outside"));
        std::os::unix::fs::symlink(temp.path().join("outside"), bench.tree().join("link")).unwrap();
        let found = expected.after(&step, String::new()).await.unwrap();
        let ids: Vec<&str> = found.tests.iter().map(|test| test.id.as_str()).collect();
        assert_eq!(ids, ["a::one", "a::two/deep"]);
    }

    #[tokio::test]
    async fn a_declared_report_must_be_written_by_the_step() {
        let (temp, bench) = bench().await;
        let report = |path: &str| {
            let kind = ReportKind::Junit;
            let path = path.to_owned();
            Some(autopack_domain::plan::ReportSpec { kind, path })
        };
        write(&temp.path().join("secret.xml"), ONE);
        std::os::unix::fs::symlink(temp.path().join("secret.xml"), bench.tree().join("l.xml"))
            .unwrap();
        for path in ["out.xml", "l.xml", "../secret.xml"] {
            let step = step("./test", report(path));
            let expected = Expected::before(&bench, &step, &mut BTreeMap::new());
            let found = expected.after(&step, String::new()).await.unwrap();
            assert!(
                found.problem.unwrap().contains(path) && found.tests.is_empty(),
                "{path}"
            );
        }
        let step = step("./test", report("out.xml"));
        let expected = Expected::before(&bench, &step, &mut BTreeMap::new());
        write(&bench.tree().join("out.xml"), ONE);
        let found = expected.after(&step, String::new()).await.unwrap();
        assert!(found.whole && found.tests.len() == 1);
    }
}
