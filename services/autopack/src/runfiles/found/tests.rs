//! Folders of the older system, and folders that mean harm.

use std::{fs, os::unix::fs::symlink, path::Path};

use super::{read, room::Room, scan::*};

/// A run as the older system wrote it: no goal, no tier in the files of phases, times without a zone.
fn older(base: &Path, path: &str) {
    let folder = base.join(path);
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    write(
        "run_summary.md",
        "# Run Summary: r\n\n## Status\n- **State:** READY\n- **Safety Profile:** normal\n- **Run Scope:** incremental\n- **Created:** 2025-12-02T13:48:35.123456\n\n## Budgets\n- **Tokens:** 1,200 / 5,000,000\n",
    );
    for (n, (name, id, total)) in [("Core_Features", "T1", 2), ("Docs", "T2", 1)]
        .iter()
        .enumerate()
    {
        write(
            &format!("tiers/tier_{n:02}_{name}.md"),
            &format!(
                "# Tier\n\n## Status\n- **State:** PENDING\n- **Tier ID:** {id}\n- **Index:** {n}\n\n## Phases\n- **Total:** {total}\n"
            ),
        );
    }
    for (n, id) in ["P1.1", "P1.2", "P2.1"].iter().enumerate() {
        write(
            &format!("phases/phase_{n:02}_{id}.md"),
            &format!(
                "# Phase {id}\n\n## Status\n- **State:** complete\n- **Phase ID:** {id}\n- **Index:** {n}\n\n## Classification\n- **Task Category:** docs\n- **Complexity:** N/A\n"
            ),
        );
    }
    write(
        "issues/run_issue_index.json",
        r#"{"run_id":"r","issues_by_key":{"k":{"category":"docs","severity":"minor","effective_severity":"minor","first_phase_index":0,"last_phase_index":1,"occurrence_count":5,"seen_in_tiers":["T1"],"seen_in_phases":["P1.1","P1.2"]}}}"#,
    );
}

#[test]
fn an_older_run_is_read_with_its_tiers_by_their_counts() {
    let base = tempfile::tempdir().unwrap();
    older(base.path(), "runs/phase3-delegated-20251202-134835");
    let scanned = scan(base.path()).unwrap();
    let [path] = scanned.runs.as_slice() else {
        panic!("{scanned:?}")
    };
    let found = read(base.path(), path, &mut Room::default())
        .unwrap()
        .unwrap();
    let run = &found.run;
    assert_eq!(run.id, "phase3-delegated-20251202-134835");
    assert_eq!(run.created_at.0, 1_764_683_315_123_456);
    assert_eq!(run.check().unwrap().state.as_str(), "RUN_CREATED");
    assert_eq!(
        run.check().unwrap().mended.len(),
        4,
        "READY and three `complete`"
    );
    let tiers: Vec<_> = run
        .phases
        .iter()
        .map(|p| p.tier.as_deref().unwrap())
        .collect();
    assert_eq!(tiers, ["T1", "T1", "T2"]);
    assert_eq!(run.tiers[0].name, "Core Features");
    let seen: Vec<_> = run
        .issues
        .iter()
        .map(|i| (i.phase.as_deref(), i.occurrences))
        .collect();
    assert_eq!(seen, [(Some("P1.1"), 4), (Some("P1.2"), 1)]);
    assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
}

#[test]
fn every_fault_is_told_with_its_file() {
    let base = tempfile::tempdir().unwrap();
    older(base.path(), "bad");
    let folder = base.path().join("bad");
    fs::write(folder.join("tiers/tier_00_Core_Features.md"), b"# \xff\xfe").unwrap();
    fs::write(folder.join("issues/run_issue_index.json"), "{").unwrap();
    fs::remove_file(folder.join("phases/phase_01_P1.2.md")).unwrap();
    symlink("/etc/passwd", folder.join("phases/phase_01_P1.2.md")).unwrap();
    let huge = fs::File::create(folder.join("phases/phase_09_P9.md")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let faults = read(base.path(), Path::new("bad"), &mut Room::default())
        .unwrap()
        .unwrap_err();
    let told: Vec<String> = faults
        .iter()
        .map(|f| format!("{}: {}", f.path, f.problem))
        .collect();
    for (file, problem) in [
        ("tiers/tier_00_Core_Features.md", "is not UTF-8 at byte 2"),
        ("issues/run_issue_index.json", "is no JSON"),
        ("phases/phase_01_P1.2.md", "symbolic link"),
        ("phases/phase_09_P9.md", "1099511627776 bytes"),
    ] {
        let all = told
            .iter()
            .any(|t| t.starts_with(file) && t.contains(problem));
        assert!(all, "{file}: {told:#?}");
    }
    assert_eq!(told.len(), 4, "{told:#?}");
}

#[test]
fn states_and_ids_are_checked_and_valid_ones_are_named() {
    let base = tempfile::tempdir().unwrap();
    older(base.path(), "bad id");
    let folder = base.path().join("bad id");
    let summary = "# Run\n\n## Status\n- **State:** RUNNING\n- **Created:** 2025-12-02\n";
    fs::write(folder.join("run_summary.md"), summary).unwrap();
    let faults = read(base.path(), Path::new("bad id"), &mut Room::default())
        .unwrap()
        .unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["id", "state"]);
    assert!(faults[1].allowed.contains(&"DONE_SUCCESS".to_owned()));
    fs::write(folder.join("run_summary.md"), "").unwrap();
    assert!(
        read(base.path(), Path::new("bad id"), &mut Room::default())
            .unwrap()
            .is_err()
    );
}

#[test]
fn a_scan_finds_every_layout_and_names_what_is_odd() {
    let base = tempfile::tempdir().unwrap();
    for path in [
        "run-001",
        "runs/old-1",
        "autopack/runs/family/family-20251202-134835",
        ".originals/run-001",
        "a/b/c/d/too-deep",
        "db/not-a-place-for-runs",
    ] {
        older(base.path(), path);
    }
    fs::create_dir_all(base.path().join("split/issues")).unwrap();
    symlink(base.path().join("run-001"), base.path().join("linked")).unwrap();
    fs::write(base.path().join("project_issue_backlog.json"), "{}").unwrap();
    let scanned = scan(base.path()).unwrap();
    let runs: Vec<_> = scanned.runs.iter().map(|p| p.to_str().unwrap()).collect();
    assert_eq!(
        runs,
        [
            "autopack/runs/family/family-20251202-134835",
            "run-001",
            "runs/old-1"
        ]
    );
    let odd: Vec<_> = scanned
        .odd
        .iter()
        .map(|(p, _)| p.to_str().unwrap())
        .collect();
    assert_eq!(odd, ["linked", "split"]);
    assert!(!scanned.more);
    assert!(scan(&base.path().join("nowhere")).unwrap().runs.is_empty());
}

#[test]
fn a_folder_without_end_is_looked_at_to_a_bound() {
    let base = tempfile::tempdir().unwrap();
    for n in 0..500 {
        fs::create_dir(base.path().join(format!("r{n}"))).unwrap();
    }
    let bounds = Bounds {
        entries: 200,
        folder: 100,
    };
    let scanned = scan_within(base.path(), bounds).unwrap();
    assert!(scanned.more && scanned.runs.is_empty());
}

#[test]
fn folders_are_read_as_long_as_there_is_room_for_all_of_them() {
    let base = tempfile::tempdir().unwrap();
    for run in ["a", "b", "c"] {
        older(base.path(), run);
        fs::write(
            base.path().join(run).join("phases/phase_02_P2.1.md"),
            vec![b'x'; 900_000],
        )
        .unwrap();
    }
    let mut few = Room::new(2, 64 << 20);
    let mut small = Room::new(1000, 2_000_000);
    for (n, run) in ["a", "b", "c"].iter().enumerate() {
        for room in [&mut few, &mut small] {
            let _ = read(base.path(), Path::new(run), room).unwrap();
            assert_eq!(room.is_over(), n == 2, "{run}: {room:?}");
        }
    }
}

#[test]
fn a_folder_without_measure_is_at_fault_and_ends_nothing() {
    let base = tempfile::tempdir().unwrap();
    older(base.path(), "large");
    for n in 3..25 {
        let file = base
            .path()
            .join(format!("large/phases/phase_{n:02}_P{n}.md"));
        fs::write(file, vec![b'x'; 900_000]).unwrap();
    }
    let mut room = Room::default();
    let faults = read(base.path(), Path::new("large"), &mut room)
        .unwrap()
        .unwrap_err();
    assert!(
        faults
            .iter()
            .any(|f| f.problem.contains("larger than 16777216 bytes")),
        "{faults:?}"
    );
    assert!(!room.is_over());
}
