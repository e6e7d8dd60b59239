//! Refusals survive the wire.

use std::time::Duration;

use autopack_domain::{ErrorKind, Fault, Reason, Refusal};
use proptest::prelude::*;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;

/// As a client sees it: through HTTP headers.
fn over_the_wire(status: &Status) -> Status {
    let response = status.clone().into_http::<()>();
    Status::from_header_map(response.headers()).unwrap()
}

#[test]
fn every_reason_keeps_its_code_and_name() {
    for reason in Reason::ALL {
        let refusal = Refusal::new(*reason, "text")
            .with("run", "demo-1")
            .with("wantedState", "QUEUED");
        let status = over_the_wire(&to_status(&refusal));
        assert_eq!(status.code(), code_of(reason.kind()), "{reason}");
        assert!(!matches!(status.code(), Code::Unknown | Code::Ok));
        let error = from_status(&status);
        assert_eq!(
            (error.kind, error.reason),
            (reason.kind(), Some(*reason)),
            "{reason}"
        );
        assert_eq!(error.into_refusal(), refusal);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            (reason.code(), DOMAIN)
        );
        assert!(info.reason.len() <= 63);
    }
}

#[test]
fn kinds_and_codes_are_inverse() {
    for reason in Reason::ALL {
        assert_eq!(kind_of(code_of(reason.kind())), reason.kind());
        assert_eq!(fallback_reason(reason.kind()).kind(), reason.kind());
    }
    for kind in [
        ErrorKind::Cancelled,
        ErrorKind::Deadline,
        ErrorKind::Corrupt,
        ErrorKind::Denied,
    ] {
        assert_eq!(fallback_reason(kind).kind(), kind);
    }
}

#[test]
fn details_are_those_of_the_kind() {
    let at =
        |reason| to_status(&Refusal::new(reason, "text").with("run", "demo-1")).get_error_details();
    let missing = at(Reason::RunNotFound);
    let resource = missing.resource_info().unwrap();
    assert_eq!(
        (
            resource.resource_type.as_str(),
            resource.resource_name.as_str()
        ),
        ("run", "demo-1")
    );
    let state = at(Reason::RunState);
    let violation = &state.precondition_failure().unwrap().violations[0];
    assert_eq!(
        (violation.r#type.as_str(), violation.subject.as_str()),
        ("RUN_STATE", "runs/demo-1")
    );
    assert!(at(Reason::LimitExceeded).quota_failure().is_some());
    assert!(at(Reason::RegistryUnavailable).retry_info().is_some());
    assert!(at(Reason::RunState).retry_info().is_none());
    assert_eq!(
        at(Reason::RunExists).help().unwrap().links[0].description,
        "autopack explain RUN_EXISTS"
    );
    let bug = to_status(&Refusal::new(Reason::InternalFault, "x").with("requestId", "r-1"))
        .get_error_details();
    assert_eq!(bug.request_info().unwrap().request_id, "r-1");
    let later = to_status_after(
        &Refusal::new(Reason::LandingBusy, "x"),
        Duration::from_millis(250),
    );
    assert_eq!(
        from_status(&later).retry_after,
        Some(Duration::from_millis(250))
    );
}

#[test]
fn faults_come_back_whole() {
    let faults = vec![
        Fault::new("tiers[0].id", "is missing").example("T1"),
        Fault::new("run.priority", "12 is not 0 to 9"),
        Fault::new("run.run_scope", "`x` is not known").allowed(["multi_tier", "single_tier"]),
    ];
    let status = over_the_wire(&invalid_argument(faults.clone()));
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(
        violations[2].description,
        "`x` is not known; allowed: multi_tier, single_tier"
    );
    assert_eq!(violations[0].description, "is missing; example: T1");
    let error = from_status(&status);
    assert_eq!(
        (error.faults, error.reason),
        (faults, Some(Reason::ArgumentInvalid))
    );
}

#[test]
fn too_many_faults_are_counted_not_dropped_in_silence() {
    let faults: Vec<Fault> = (0..500)
        .map(|i| Fault::new(format!("f[{i}]"), "x".repeat(400)))
        .collect();
    let status = invalid_argument(faults);
    assert!(status.message().len() <= MAX_MESSAGE);
    assert!(
        status.details().len() <= MAX_DETAILS,
        "{}",
        status.details().len()
    );
    let error = from_status(&status);
    let omitted: usize = error.metadata["faultsOmitted"].parse().unwrap();
    assert!(omitted > 0 && error.faults.len() + omitted == 500);
}

#[test]
fn an_unknown_reason_degrades_to_its_code() {
    let mut details = tonic_types::ErrorDetails::new();
    details.set_error_info("FROM_THE_FUTURE", DOMAIN, std::collections::HashMap::new());
    let error = from_status(&Status::with_error_details(Code::Aborted, "new", details));
    assert_eq!(
        (error.kind, error.reason, error.reason_code.as_str()),
        (ErrorKind::Conflict, None, "FROM_THE_FUTURE")
    );
    assert_eq!(error.into_refusal().reason, Reason::VersionConflict);
    let bare = from_status(&Status::unimplemented("no such method"));
    assert_eq!(
        (bare.kind, bare.to_string().as_str()),
        (ErrorKind::Precondition, "UNIMPLEMENTED: no such method")
    );
    let foreign = from_status(&Status::with_details(
        Code::Internal,
        "x",
        vec![255, 1, 2].into(),
    ));
    assert_eq!((foreign.kind, foreign.faults.len()), (ErrorKind::Bug, 0));
}

proptest! {
    #[test]
    fn any_fault_comes_back(
        path in ".{0,12}",
        problem in "(; (allowed|example): |.|, ){0,6}",
        allowed in proptest::collection::vec("(, |[a-z;]|; example: ){0,4}", 0..3),
        example in "(; allowed: |.){0,4}",
    ) {
        let fault = Fault { path, problem, allowed, example };
        let status = over_the_wire(&invalid_argument(vec![fault.clone()]));
        prop_assert_eq!(from_status(&status).faults, vec![fault]);
    }

    #[test]
    fn messages_are_cut_between_characters(text in ".{0,20}", max in 0_usize..40) {
        let cut = clip(&text, max);
        prop_assert!(cut.len() <= max && text.starts_with(cut));
    }
}
