//! Releases as their registries hand them out, unpacked, in a cache below `target`.
//!
//! Invariant: a release's folder in the cache is complete: it is made elsewhere and moved there at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use autopack_testkit::program;

use crate::packages::{Package, Source};

/// How long one client may take; a cold cache on a slow line.
const BOUND: Duration = Duration::from_mins(2);

/// The folders of all releases of a package, in order.
pub(crate) fn releases(package: &Package) -> Vec<PathBuf> {
    let cache = cache().join(package.name);
    fs::create_dir_all(&cache).unwrap();
    let missing: Vec<&str> = package
        .releases
        .iter()
        .copied()
        .filter(|release| !cache.join(release).is_dir())
        .collect();
    if !missing.is_empty() {
        let scratch = tempfile::Builder::new()
            .prefix(".download-")
            .tempdir_in(&cache)
            .unwrap();
        match package.source {
            Source::Crates => by_cargo(package, &missing, scratch.path()),
            Source::PyPi => by_pip(package, &missing, scratch.path()),
            Source::Npm => by_npm(package, &missing, scratch.path()),
        }
        for release in missing {
            let made = scratch.path().join("made").join(release);
            let place = cache.join(release);
            if fs::rename(&made, &place).is_err() {
                assert!(
                    place.is_dir(),
                    "{} cannot be moved to {}",
                    made.display(),
                    place.display()
                );
            }
        }
    }
    package
        .releases
        .iter()
        .map(|release| cache.join(release))
        .collect()
}

/// `target/histories`, wherever this test was built.
fn cache() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let target = exe
        .ancestors()
        .find(|folder| folder.ends_with("debug") || folder.ends_with("release"));
    target.and_then(Path::parent).unwrap().join("histories")
}

/// Runs a registry's client; its failure says what to do.
#[track_caller]
fn client(command: &mut Command, package: &Package, release: &str) {
    let (client, advice) = match package.source {
        Source::Crates => ("cargo", "set a mirror in ~/.cargo/config.toml"),
        Source::PyPi => ("pip", "set a mirror with `pip config set global.index-url`"),
        Source::Npm => ("npm", "set a mirror with `npm config set registry`"),
    };
    let done = program::run(command, BOUND);
    assert_eq!(
        done.code,
        Some(0),
        "{client} could not download {} {release}. The release histories need the package registries once: connect this \
         machine to them, or {advice}; then run `make test-histories` again.\n{command:?}\n{}\n{}",
        package.name,
        done.stdout,
        done.stderr
    );
}

/// One scratch package a release: cargo does not put two compatible versions into one lock file.
fn by_cargo(package: &Package, releases: &[&str], scratch: &Path) {
    for release in releases {
        let folder = scratch.join(format!("scratch-{release}"));
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("src/lib.rs"), "").unwrap();
        let manifest = format!(
            "[package]\nname = \"scratch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[dependencies]\n{} = \"={release}\"\n\n[workspace]\n",
            package.name
        );
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args(["vendor", "--quiet", "vendor"])
            .current_dir(&folder);
        client(&mut command, package, release);
        let vendored = folder.join("vendor");
        let count = fs::read_dir(&vendored).unwrap().count();
        assert_eq!(count, 1, "{} {release} has dependencies", package.name);
        let source = vendored.join(package.name);
        // Cargo's own record of what it unpacked.
        fs::remove_file(source.join(".cargo-checksum.json")).unwrap();
        keep(&source, scratch, release);
    }
}

fn by_pip(package: &Package, releases: &[&str], scratch: &Path) {
    for release in releases {
        let folder = scratch.join(format!("scratch-{release}"));
        let mut command = Command::new("python3");
        command.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        command
            .args(["--no-deps", "--only-binary", ":all:", "--dest"])
            .arg(&folder);
        command.arg(format!("{}=={release}", package.name));
        client(&mut command, package, release);
        let unpacked = folder.join("unpacked");
        let wheel = only_entry(&folder);
        let mut unpack = Command::new("python3");
        unpack
            .args(["-m", "zipfile", "-e"])
            .arg(wheel)
            .arg(&unpacked);
        program::run(&mut unpack, BOUND).expect_code(0);
        keep(&unpacked, scratch, release);
    }
}

/// All releases at once.
fn by_npm(package: &Package, releases: &[&str], scratch: &Path) {
    let packed = scratch.join("packed");
    fs::create_dir(&packed).unwrap();
    let mut command = Command::new("npm");
    command
        .args([
            "pack",
            "--silent",
            "--ignore-scripts",
            "--no-update-notifier",
            "--pack-destination",
        ])
        .arg(&packed);
    command.args(
        releases
            .iter()
            .map(|release| format!("{}@{release}", package.name)),
    );
    client(&mut command, package, &releases.join(", "));
    for release in releases {
        let folder = scratch.join(format!("scratch-{release}"));
        fs::create_dir(&folder).unwrap();
        let mut unpack = Command::new("tar");
        unpack
            .arg("-xzf")
            .arg(packed.join(format!("{}-{release}.tgz", package.name)))
            .arg("-C")
            .arg(&folder);
        program::run(&mut unpack, BOUND).expect_code(0);
        keep(&only_entry(&folder), scratch, release);
    }
}

fn only_entry(folder: &Path) -> PathBuf {
    let mut entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let first = entries
        .next()
        .unwrap_or_else(|| panic!("{} is empty", folder.display()));
    assert!(
        entries.next().is_none(),
        "{} holds more than one entry",
        folder.display()
    );
    first
}

fn keep(source: &Path, scratch: &Path, release: &str) {
    let made = scratch.join("made");
    fs::create_dir_all(&made).unwrap();
    fs::rename(source, made.join(release)).unwrap();
}
