//! Pull requests against a host that behaves like the real ones.

use std::collections::HashMap;

use autopack_testkit::git_host::{Flavour, GitHost, TOKEN};
use autopack_wire::types;

use super::{Failed, Host, Way, address::Api, address::Place, token_names};
use crate::{cli::HostKind, error::CliError};

const TESTED: &str = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12";
const URL: &str = "https://git.example/ann/demo/pull/1";

fn run() -> types::Run {
    types::Run {
        id: "demo-1".into(),
        goal: "Parse durations".into(),
        branch: "autonomous/demo-1".into(),
        facts: HashMap::from([("remote_url".into(), "git@git.example:ann/demo.git".into())]),
        ..Default::default()
    }
}

fn promotion() -> types::Promotion {
    types::Promotion {
        target_branch: "main".into(),
        tested_commit: TESTED.into(),
        ..Default::default()
    }
}

/// A host with the run's branch and `main`, and a client of it.
fn start(flavour: Flavour) -> (GitHost, Host) {
    let server = GitHost::start(flavour);
    server.content().branches = vec![
        ("autonomous/demo-1".into(), TESTED.into()),
        ("main".into(), "0".repeat(40)),
    ];
    let place = Place::parse("git@git.example:ann/demo.git").unwrap();
    let api = Api::of(&place, None, Some(&server.api())).unwrap();
    let kind = match flavour {
        Flavour::GitHub => HostKind::Github,
        Flavour::Gitea => HostKind::Gitea,
    };
    assert_eq!(api.kind, kind);
    let host = Host {
        api,
        place,
        way: Way::Token(TOKEN.into()),
    };
    (server, host)
}

async fn ask(host: &Host) -> Result<String, CliError> {
    let asked = host.pull_request(&run(), &promotion()).await;
    asked.map_err(|(Failed::Refused(error) | Failed::Unclear(error))| error)
}

/// Asks, and gets no answer that says whether a pull request is open.
async fn unclear(host: &Host) -> String {
    match host.pull_request(&run(), &promotion()).await {
        Err(Failed::Unclear(error)) => error.render(),
        other => panic!("{other:?}"),
    }
}

fn posts(server: &GitHost) -> usize {
    let content = server.content();
    let posts = content.calls.iter().filter(|c| c.starts_with("POST"));
    posts.count()
}

const BOTH: [Flavour; 2] = [Flavour::GitHub, Flavour::Gitea];

#[tokio::test]
async fn a_pull_request_is_opened_once_and_found_again() {
    for flavour in BOTH {
        let (server, host) = start(flavour);
        assert_eq!(ask(&host).await.unwrap(), URL, "{flavour:?}");
        assert_eq!(ask(&host).await.unwrap(), URL, "{flavour:?}");
        let content = server.content().clone();
        let opened = vec![("autonomous/demo-1".to_owned(), "main".to_owned())];
        assert_eq!(content.pulls, opened);
        let posts = content.calls.iter().filter(|c| c.starts_with("POST"));
        assert_eq!(posts.count(), 1, "{:?}", content.calls);
    }
}

#[tokio::test]
async fn one_that_somebody_opened_in_between_is_found() {
    for flavour in BOTH {
        let (server, host) = start(flavour);
        server.content().pulls = vec![("autonomous/demo-1".into(), "main".into())];
        server.content().hide_once = true;
        assert_eq!(ask(&host).await.unwrap(), URL, "{flavour:?}");
        assert_eq!(server.content().pulls.len(), 1);
    }
}

#[tokio::test]
async fn what_the_host_refuses_is_told_with_its_words_and_without_the_token() {
    for flavour in BOTH {
        let (server, mut host) = start(flavour);
        server.content().read_only = true;
        let error = ask(&host).await.unwrap_err();
        assert!(error.message.contains("403"), "{}", error.message);
        assert!(
            error.message.contains("not accessible"),
            "{}",
            error.message
        );
        server.content().branches.pop();
        server.content().read_only = false;
        let error = ask(&host).await.unwrap_err();
        assert!(error.message.contains("422"), "{}", error.message);
        let echoed = format!("{{\"message\": \"unknown token {TOKEN}\"}}");
        server.content().first = vec![(401, String::new(), echoed)];
        let error = ask(&host).await.unwrap_err().render();
        assert!(error.contains("401") && error.contains("***"), "{error}");
        assert!(!error.contains(TOKEN), "{error}");
        assert!(!format!("{host:?}").contains(TOKEN));
        host.way = Way::Token("wrong".into());
        let error = ask(&host).await.unwrap_err();
        assert!(
            error.message.contains("Bad credentials"),
            "{}",
            error.message
        );
        host.way = Way::Token(TOKEN.into());
        host.place.name = "other".into();
        let error = ask(&host).await.unwrap_err();
        assert!(error.message.contains("404"), "{}", error.message);
    }
}

#[tokio::test]
async fn a_branch_that_is_not_there_or_not_what_was_tested_is_refused_with_the_push_that_mends_it()
{
    for flavour in BOTH {
        let (server, host) = start(flavour);
        server.content().branches[0].1 = "1".repeat(40);
        let error = ask(&host).await.unwrap_err().render();
        assert!(
            error.contains(TESTED) && error.contains("git push"),
            "{error}"
        );
        server.content().branches.remove(0);
        let error = ask(&host).await.unwrap_err().render();
        assert!(
            error.contains("404") && error.contains("git push"),
            "{error}"
        );
        assert!(server.content().pulls.is_empty());
    }
}

#[tokio::test]
async fn a_used_up_limit_is_waited_for_if_it_is_short_and_told_if_it_is_long() {
    let limited = |seconds: u32| {
        let header = format!("retry-after: {seconds}\r\n");
        let body = r#"{"message": "You have exceeded a secondary rate limit"}"#;
        (403, header, body.to_owned())
    };
    let (server, host) = start(Flavour::GitHub);
    server.content().first = vec![
        limited(0),
        (429, "retry-after: 0\r\n".into(), String::new()),
    ];
    assert_eq!(ask(&host).await.unwrap(), URL);
    server.content().first = vec![limited(3600)];
    let error = ask(&host).await.unwrap_err().render();
    assert!(
        error.contains("rate limit") && error.contains("3600 s"),
        "{error}"
    );
}

#[tokio::test]
async fn a_read_is_made_again_after_a_fault_of_the_host_and_a_post_is_not() {
    let (server, host) = start(Flavour::Gitea);
    server.content().first = vec![(502, String::new(), String::new())];
    assert_eq!(ask(&host).await.unwrap(), URL);
    let (server, host) = start(Flavour::Gitea);
    let branch = server.content().branches[0].clone();
    let seen = format!("{{\"commit\": {{\"id\": \"{}\"}}}}", branch.1);
    server.content().first = vec![
        (200, String::new(), seen),
        (200, String::new(), "[]".into()),
        (500, String::new(), "oops".into()),
    ];
    let error = ask(&host).await.unwrap_err();
    assert!(error.message.contains("500 oops"), "{}", error.message);
    let posts = server
        .content()
        .calls
        .iter()
        .filter(|c| c.starts_with("POST"))
        .count();
    assert_eq!(posts, 1);
}

#[test]
fn a_token_for_one_host_is_not_looked_for_at_another() {
    let names = |kind, base: &str| {
        let base = base.to_owned();
        token_names(&Api { kind, base })
    };
    let github_com = names(HostKind::Github, "https://api.github.com");
    assert!(github_com.contains(&"GH_TOKEN"));
    for (kind, base) in [
        (HostKind::Github, "https://ghe.example/api/v3"),
        (HostKind::Gitea, "https://git.example/api/v1"),
    ] {
        let names = names(kind, base);
        assert!(
            !names.contains(&"GH_TOKEN") && !names.contains(&"GITHUB_TOKEN"),
            "{names:?}"
        );
        assert!(names.contains(&"AUTOPACK_HOST_TOKEN"));
    }
}

#[tokio::test]
async fn a_pull_request_whose_answer_was_lost_is_found_and_not_asked_for_twice() {
    for flavour in BOTH {
        let (server, host) = start(flavour);
        server.content().lose_answers = 1;
        assert_eq!(ask(&host).await.unwrap(), URL, "{flavour:?}");
        assert_eq!((posts(&server), server.content().pulls.len()), (1, 1));
    }
}

#[tokio::test]
async fn what_a_host_in_trouble_says_is_no_refusal_and_the_next_try_looks_first() {
    for (flavour, trouble) in [
        (Flavour::GitHub, (502, "Bad Gateway")),
        (Flavour::Gitea, (500, "oops")),
        // A page of a proxy is no pull request.
        (Flavour::Gitea, (200, "<html>")),
    ] {
        let (server, host) = start(flavour);
        let branch = server.content().branches[0].clone();
        let seen = format!(
            "{{\"commit\": {{\"id\": \"{0}\", \"sha\": \"{0}\"}}}}",
            branch.1
        );
        server.content().first = vec![
            (200, String::new(), seen),
            (200, String::new(), "[]".into()),
            (trouble.0, String::new(), trouble.1.into()),
        ];
        let error = unclear(&host).await;
        assert!(error.contains("same command"), "{error}");
        assert_eq!(posts(&server), 1);
        // Somebody else opened it meanwhile, or the host did in the end.
        server.content().pulls = vec![("autonomous/demo-1".into(), "main".into())];
        assert_eq!(ask(&host).await.unwrap(), URL);
        assert_eq!(posts(&server), 1, "found, not asked for");
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_leaves_it_asked_for() {
    let (server, host) = start(Flavour::Gitea);
    drop(server);
    let error = unclear(&host).await;
    assert!(error.contains("did not answer"), "{error}");
    assert!(!error.contains(TOKEN), "{error}");
}

#[test]
fn only_a_github_at_its_usual_place_is_asked_through_gh() {
    let host = |kind, base: &str| {
        let base = base.to_owned();
        Api { kind, base }.gh_host()
    };
    let github = HostKind::Github;
    let found = host(github, "https://api.github.com");
    assert_eq!(found.as_deref(), Some("github.com"));
    let found = host(github, "https://ghe.example/api/v3");
    assert_eq!(found.as_deref(), Some("ghe.example"));
    for (kind, base) in [
        (HostKind::Gitea, "https://git.example/api/v1"),
        (github, "http://127.0.0.1:80/api/v3"),
        (github, "https://ghe.example:8443/api/v3"),
        (github, "https://-x/api/v3"),
        (github, "https://ghe.example/elsewhere"),
    ] {
        assert_eq!(host(kind, base), None, "{base}");
    }
}
