//! The data directory.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use autopack_domain::Reason;
use autopack_runtime::{DataDir, Opened, RegistryFile};

fn locked(path: &Path) -> DataDir {
    match DataDir::open(path, None).unwrap() {
        Opened::Locked(data) => data,
        Opened::Busy { .. } => panic!("nobody else has it"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn registry() -> RegistryFile {
    RegistryFile {
        pid: std::process::id(),
        socket: Some("/x/registry.sock".into()),
        tcp: Some("127.0.0.1:7878".into()),
        version: "0.1.0".into(),
    }
}

#[test]
fn it_is_made_private_and_can_be_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/autopack");
    let token = {
        let data = locked(&path);
        assert_eq!(mode(data.path()), 0o700);
        for folder in [data.db(), data.repos(), data.artifacts(), data.tmp()] {
            assert_eq!(mode(&folder), 0o700);
        }
        let token = data.token().unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(mode(&data.path().join("token")), 0o600);
        token
    };
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let again = locked(&path);
    assert_eq!(again.token().unwrap(), token);
    assert_eq!(mode(again.path()), 0o700, "it was opened to others");
}

#[test]
fn a_second_process_learns_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = locked(folder.path());
    let Opened::Busy { registry: None } = DataDir::open(folder.path(), None).unwrap() else {
        panic!("it is locked, and nothing was written yet");
    };
    data.write_registry(&registry()).unwrap();
    assert_eq!(mode(&folder.path().join("registry.json")), 0o600);
    let Opened::Busy { registry: found } = DataDir::open(folder.path(), None).unwrap() else {
        panic!("it is locked");
    };
    assert_eq!(found, Some(registry()));
    data.remove_registry().unwrap();
    data.remove_registry().unwrap();
    assert_eq!(data.registry(), None);
    drop(data);
    locked(folder.path());
}

#[test]
fn a_directory_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("version"), "2\n").unwrap();
    let refusal = DataDir::open(folder.path(), None).unwrap_err();
    assert_eq!(refusal.reason, Reason::SchemaTooNew);
    assert_eq!(refusal.metadata["layout"], "2");
    fs::write(folder.path().join("version"), "abc").unwrap();
    let refusal = DataDir::open(folder.path(), None).unwrap_err();
    assert_eq!(refusal.reason, Reason::ArgumentInvalid);
}

#[test]
fn somebody_elses_folder_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "text").unwrap();
    let refusal = DataDir::open(folder.path(), None).unwrap_err();
    assert!(refusal.message.contains("thesis.tex"), "{refusal}");
    assert_eq!(refusal.faults[0].path, "data_dir");
}

#[test]
fn a_place_inside_the_repository_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("repo");
    fs::create_dir_all(repository.join(".git")).unwrap();
    fs::create_dir_all(repository.join("src")).unwrap();
    let inside = repository.join(".state/data");
    for named in [repository.clone(), repository.join("src")] {
        let refusal = DataDir::open(&inside, Some(&named)).unwrap_err();
        assert!(refusal.message.contains("inside the repository"));
    }
    assert!(!inside.exists(), "nothing was made there");
    let beside = folder.path().join("repo-data");
    assert!(DataDir::open(&beside, Some(&repository)).is_ok());
}

#[test]
fn a_file_in_its_place_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refusal = DataDir::open(&file, None).unwrap_err();
    assert!(refusal.message.contains("cannot be used"), "{refusal}");
}

#[test]
fn a_socket_path_always_fits() {
    let folder = tempfile::tempdir().unwrap();
    let near = locked(&folder.path().join("near"));
    let socket = near.socket(&|_| None).unwrap();
    assert_eq!(socket, near.path().join("registry.sock"));

    let far = locked(&folder.path().join("x".repeat(120)));
    let runtime = folder.path().join("runtime");
    fs::create_dir(&runtime).unwrap();
    let lookup =
        |name: &str| (name == "XDG_RUNTIME_DIR").then(|| runtime.to_string_lossy().into_owned());
    let in_runtime = far.socket(&lookup).unwrap();
    assert!(in_runtime.starts_with(runtime.join("autopack")));
    assert_eq!(mode(in_runtime.parent().unwrap()), 0o700);
    let in_tmp = far.socket(&|_| None).unwrap();
    assert!(in_tmp.starts_with("/tmp") && in_tmp.as_os_str().len() < 104);
    assert_eq!(in_tmp.file_name(), in_runtime.file_name());
    let bound = std::os::unix::net::UnixListener::bind(&in_runtime);
    assert!(bound.is_ok(), "{bound:?}");
}

#[test]
fn scratch_space_is_empty_at_each_start_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    {
        let data = locked(folder.path());
        fs::create_dir_all(data.tmp().join("a/b")).unwrap();
        fs::write(data.tmp().join("c"), "x").unwrap();
        fs::write(data.runs().join("report"), "x").unwrap();
    }
    let data = locked(folder.path());
    assert_eq!(fs::read_dir(data.tmp()).unwrap().count(), 0);
    assert!(data.runs().join("report").exists());
}

#[test]
fn a_damaged_token_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = locked(folder.path());
    let first = data.token().unwrap();
    fs::write(folder.path().join("token"), "short").unwrap();
    let second = data.token().unwrap();
    assert_eq!(second.len(), 64);
    assert_ne!(first, second);
}
