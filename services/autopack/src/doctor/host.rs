//! This machine: git, the disk, the data directory, the clock.
//!
//! Invariant: nothing is changed, and what cannot be asked is passed over.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use autopack_domain::{Finding, FindingCode, Timestamp, finding::Place};
use autopack_runtime::{Clock as _, SystemClock};

/// Free space below which a run should not start, MiB.
const LEAST_MB: u64 = 1024;
/// How far two clocks may differ, microseconds.
const SKEW: i64 = 60_000_000;

fn finding(code: FindingCode, what: &str, problem: String) -> Finding {
    Finding::new(code, Place::new(what, "", ""), problem)
}

/// Git cannot be used, for this reason.
pub(crate) fn git(problem: &str) -> Finding {
    finding(FindingCode::GitUnusable, "git", problem.to_owned())
        .valid(["git 2.38 or later, in PATH"])
}

/// Methods that the registry lacks, as `/package.Service/Method`.
pub(crate) fn missing(methods: &[String]) -> Vec<Finding> {
    let one = |path: &String| {
        let name = path.trim_start_matches('/');
        let place = Place::new("registry", name, "");
        let problem = format!("it does not offer {name}");
        Finding::new(FindingCode::CapabilityMissing, place, problem)
    };
    methods.iter().map(one).collect()
}

/// The data directory and its disk.
pub(crate) fn data_dir(path: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let shown = path.display().to_string();
    let Ok(meta) = std::fs::metadata(path) else {
        return found;
    };
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 || mode & 0o700 != 0o700 {
        let problem = format!("{shown} has mode {mode:04o}");
        found.push(
            finding(FindingCode::DataDirUnusable, "data directory", problem)
                .value(&format!("{mode:04o}"))
                .valid(["0700"])
                .fix(format!("chmod 0700 {shown}")),
        );
    }
    if let Ok(stat) = rustix::fs::statvfs(path) {
        let free = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
        found.extend(disk(free, &shown));
    }
    found
}

/// A disk with this much room, MiB.
fn disk(free: u64, place: &str) -> Option<Finding> {
    (free < LEAST_MB).then(|| {
        finding(
            FindingCode::DiskLow,
            "disk",
            format!("{free} MiB are free below {place}"),
        )
        .value(&free.to_string())
        .valid([format!("at least {LEAST_MB} MiB")])
    })
}

/// Our clock against the registry's.
pub(crate) fn clock(registry: Timestamp) -> Option<Finding> {
    skew(SystemClock::new().now(), registry)
}

fn skew(ours: Timestamp, theirs: Timestamp) -> Option<Finding> {
    let apart = ours.0.saturating_sub(theirs.0);
    (apart.abs() > SKEW).then(|| {
        let seconds = apart / 1_000_000;
        let problem = format!("this machine is {seconds} s ahead of the registry");
        finding(FindingCode::ClockSkewed, "clock", problem)
            .value(&seconds.to_string())
            .valid(["at most 60 s apart"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_that_is_missing_is_a_warning_by_name() {
        let found = missing(&["/autopack.registry.v1.ImportService/ImportRuns".to_owned()]);
        assert_eq!(found.len(), 1);
        assert!(!found[0].code.is_error());
        let place = found[0].place.to_string();
        assert_eq!(
            place,
            "registry autopack.registry.v1.ImportService/ImportRuns"
        );
        assert!(missing(&[]).is_empty());
    }

    #[test]
    fn clocks_a_minute_apart_are_named_either_way() {
        let at = |s: i64| Timestamp(s * 1_000_000);
        assert!(skew(at(100), at(100)).is_none() && skew(at(160), at(100)).is_none());
        for (ours, theirs) in [(at(161), at(100)), (at(100), at(1000))] {
            let found = skew(ours, theirs).unwrap();
            assert_eq!(found.code, FindingCode::ClockSkewed);
        }
    }

    #[test]
    fn a_disk_with_less_than_a_gibibyte_is_low() {
        assert!(disk(1024, "/d").is_none());
        let found = disk(1023, "/d").unwrap();
        assert_eq!(
            (found.code, found.value.as_deref()),
            (FindingCode::DiskLow, Some("1023"))
        );
        assert!(found.problem.contains("/d") && !found.code.is_error());
    }

    #[test]
    fn a_data_directory_that_others_may_read_is_named_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), mode).unwrap();
        };
        set(0o755);
        let found = data_dir(folder.path());
        let open = found
            .iter()
            .find(|f| f.code == FindingCode::DataDirUnusable);
        assert!(open.unwrap().problem.contains("0755"), "{found:?}");
        set(0o700);
        let found = data_dir(folder.path());
        assert!(found.iter().all(|f| f.code != FindingCode::DataDirUnusable));
    }
}
