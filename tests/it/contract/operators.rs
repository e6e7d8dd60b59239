//! Projects, workers, the registry itself: what operators ask and set.

use autopack_domain::Reason as R;
use autopack_wire::registry as pb;

use crate::book::Book;
use crate::desk::PROJECT;

pub(crate) async fn call(book: &mut Book) {
    let rules = |project: &str, document: &str| pb::ImportRulesetRequest {
        project: project.into(),
        document: document.into(),
    };
    let method = "RegistryService/ImportRuleset";
    let stored: pb::ImportRulesetResponse = book.ok(method, rules("ruled", "{}")).await;
    assert!(stored.ruleset_json.starts_with('{'), "{stored:?}");
    book.refused(method, R::RulesetInvalid, rules("ruled", "surprise: 1"))
        .await;
    book.refused(method, R::ArgumentInvalid, rules("a project", "{}"))
        .await;

    let limits = |project: &str, share: u32| pb::SetProjectLimitsRequest {
        project: project.into(),
        share: Some(share),
        ..Default::default()
    };
    let method = "RegistryService/SetProjectLimits";
    let stored: pb::SetProjectLimitsResponse = book.ok(method, limits("ruled", 3)).await;
    assert_eq!(stored.limits.unwrap_or_default().share, 3);
    book.refused(method, R::ArgumentInvalid, limits("ruled", 0))
        .await;

    let project = |name: &str| pb::GetProjectRequest {
        project: name.into(),
    };
    let method = "RegistryService/GetProject";
    let found: pb::GetProjectResponse = book.ok(method, project(PROJECT)).await;
    assert_eq!(found.project, PROJECT);
    book.refused(method, R::ProjectNotFound, project("absent"))
        .await;

    let workers = |size: i32, token: &str| pb::ListWorkersRequest {
        page_size: size,
        page_token: token.into(),
    };
    let method = "RegistryService/ListWorkers";
    let listed: pb::ListWorkersResponse = book.ok(method, workers(0, "")).await;
    assert!(!listed.workers.is_empty());
    book.refused(method, R::ArgumentInvalid, workers(-1, ""))
        .await;
    book.refused(method, R::PageTokenInvalid, workers(0, "x"))
        .await;

    let info: pb::GetInfoResponse = book
        .ok("RegistryService/GetInfo", pb::GetInfoRequest {})
        .await;
    let request = pb::GetServerInfoRequest {};
    let server: pb::GetServerInfoResponse = book.ok("ServerService/GetServerInfo", request).await;
    assert_eq!(info.database_identity, server.database_identity);
}
