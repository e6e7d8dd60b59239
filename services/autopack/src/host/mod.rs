//! Pull requests on the repository's host, for GitHub and for hosts that speak Gitea's API.
//!
//! Invariant: a token goes to github.com or to an API address that the user named, never to a host that a repository
//! named; it is not stored, and struck out of whatever is shown. An open pull request for the same branches is found
//! before another one is opened. Only what the host has answered is a refusal: where its answer did not come, the pull
//! request may be open.
//!
//! - [`address`]: which repository on which host
//! - [`http`]: one request and its answer
//! - [`gh`]: the same through GitHub's own command line, where no token is set

mod address;
mod gh;
mod http;
#[cfg(test)]
mod tests;

use std::time::Duration;

use autopack_domain::run::promote::PULL_REQUEST_PATIENCE;
use autopack_wire::types;
use serde_json::{Value, json};

use self::{
    address::{Api, Place},
    gh::Gh,
    http::{Answer, Request},
};
use crate::{
    cli::{HostArgs, HostKind},
    error::CliError,
    output::one_line,
};

/// Pages of open pull requests that are looked at, each of up to 50.
const PAGES: usize = 20;
/// How often a request is made that the host could not answer.
const TRIES: u32 = 4;
/// The longest that a host may ask us to wait.
const LONGEST: Duration = Duration::from_mins(1);
/// How often the host is looked at after a request whose answer did not come.
const LOOKS: u32 = 3;
/// How long all of it may take: after the registry's patience another promotion may be asked for.
const WHOLE: Duration = Duration::from_mins(8);
const _: () = assert!(WHOLE.as_secs() < PULL_REQUEST_PATIENCE.as_secs());

/// A repository on a host, and who asks.
pub(crate) struct Host {
    api: Api,
    place: Place,
    way: Way,
}

/// How the host is asked.
enum Way {
    /// By ourselves, with this token.
    Token(String),
    /// Through a program that has a token of its own.
    Gh(Gh),
}

/// Why there is no address of a pull request.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The host has refused.
    Refused(CliError),
    /// The host has not answered, or not so that it says whether one is open.
    Unclear(CliError),
}

type Asked<T> = Result<T, Failed>;

/// The pull request that is looked for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    head: &'a str,
    base: &'a str,
    commit: &'a str,
}

impl std::fmt::Debug for Host {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("api", &self.api)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// The variables of a host's token, the first that is set. What is meant for github.com goes nowhere else.
fn token_names(api: &Api) -> &'static [&'static str] {
    match (api.kind, api.is_github_com()) {
        (HostKind::Github, true) => &["AUTOPACK_HOST_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"],
        (HostKind::Github, false) => &["AUTOPACK_HOST_TOKEN", "GH_ENTERPRISE_TOKEN"],
        (HostKind::Gitea, _) => &["AUTOPACK_HOST_TOKEN", "GITEA_TOKEN"],
    }
}

/// The host of a run's repository.
pub(crate) fn of(run: &types::Run, args: &HostArgs) -> Result<Host, CliError> {
    let remote = run.facts.get("remote_url");
    let remote = remote.map_or(run.repository.as_str(), String::as_str);
    let place = Place::parse(remote).ok_or_else(|| {
        CliError::usage(format!(
            "the repository of run {} has no address on a host (its `origin` is `{remote}`)",
            run.id
        ))
        .hint("a pull request needs a repository whose `origin` is https://HOST/OWNER/NAME or git@HOST:OWNER/NAME")
    })?;
    let api = Api::of(&place, args.host, args.host_api.as_deref())?;
    let names = token_names(&api);
    let set = |name: &&str| {
        let token = std::env::var(name).ok()?.trim().to_owned();
        (!token.is_empty()).then_some(token)
    };
    let token = names.iter().find_map(set).map(Way::Token);
    let way = token.or_else(|| Gh::find(&api).map(Way::Gh));
    let way = way.ok_or_else(|| {
        let none = CliError::usage(format!("no token for {}", api.host()));
        let none = none.hint(format!("set one of {}", names.join(", ")));
        if api.kind == HostKind::Github {
            return none.hint("or install `gh`, and log in with `gh auth login`");
        }
        none
    })?;
    Ok(Host { api, place, way })
}

impl Host {
    /// The address of the pull request that asks for this promotion: the one that is open, or a new one.
    pub(crate) async fn pull_request(
        &self,
        run: &types::Run,
        promotion: &types::Promotion,
    ) -> Asked<String> {
        let done = tokio::time::timeout(WHOLE, self.find_or_open(run, promotion)).await;
        done.unwrap_or_else(|_| {
            let why = format!("it took more than {} minutes", WHOLE.as_secs() / 60);
            Err(self.unreached(&why))
        })
    }

    async fn find_or_open(&self, run: &types::Run, promotion: &types::Promotion) -> Asked<String> {
        self.check_head(run, promotion).await?;
        let (head, base) = (run.branch.as_str(), promotion.target_branch.as_str());
        let wanted = Wanted {
            head,
            base,
            commit: &promotion.tested_commit,
        };
        if let Some(url) = self.find(wanted).await? {
            return Ok(url);
        }
        let body = json!({
            "title": format!("{}: {}", run.id, one_line(&run.goal, 200)),
            "body": text(run, promotion),
            "head": head,
            "base": base,
        });
        let path = format!("{}/pulls", self.repository());
        let answer = match self.call("POST", &path, Some(&body)).await {
            Ok(answer) => answer,
            Err(Failed::Unclear(error)) => return self.look_again(wanted, error).await,
            Err(refused) => return Err(refused),
        };
        if let (200 | 201, Some(url)) = (answer.status, url_of(&answer.json())) {
            return Ok(url);
        }
        match self.refused(&answer, "did not open the pull request") {
            Failed::Unclear(error) => self.look_again(wanted, error).await,
            // There already: opened by somebody in the same instant, or by us and the answer was lost.
            refused @ Failed::Refused(_) if matches!(answer.status, 409 | 422) => {
                self.find(wanted).await?.ok_or(refused)
            }
            refused @ Failed::Refused(_) => Err(refused),
        }
    }

    /// After a request that may have been heard: what the host shows now, a few times.
    async fn look_again(&self, wanted: Wanted<'_>, error: CliError) -> Asked<String> {
        let mut pause = Duration::from_millis(250);
        for _ in 0..LOOKS {
            tokio::time::sleep(pause).await;
            if let Ok(Some(url)) = self.find(wanted).await {
                return Ok(url);
            }
            pause *= 2;
        }
        Err(Failed::Unclear(error))
    }

    /// The host must have the integration branch, at the commit whose tree the gates have seen.
    async fn check_head(&self, run: &types::Run, promotion: &types::Promotion) -> Asked<()> {
        let branch = &run.branch;
        let path = format!("{}/branches/{}", self.repository(), address::encode(branch));
        let answer = self.call("GET", &path, None).await?;
        let push = format!(
            "git push {} {}:refs/heads/{branch}",
            self.place, promotion.tested_commit
        );
        match answer.status {
            200 => {}
            404 => {
                let what = format!("has no branch {branch}, or does not show it");
                let error = self.said(&answer, &what);
                let hint = format!("push it: `{push}`; and check the token's rights");
                return Err(Failed::Refused(error.hint(hint)));
            }
            _ => return Err(self.refused(&answer, &format!("did not show the branch {branch}"))),
        }
        let found = answer.json();
        let commit = &found["commit"];
        let tip = commit["sha"].as_str().or_else(|| commit["id"].as_str());
        if tip == Some(promotion.tested_commit.as_str()) {
            return Ok(());
        }
        let error = CliError::new(format!(
            "{branch} is at {} on {}, and the gates have seen {}",
            tip.unwrap_or("an unknown commit"),
            self.api.host(),
            promotion.tested_commit
        ));
        let hint = format!("push what was tested: `{push}`");
        Err(Failed::Refused(error.hint(hint)))
    }

    /// The open pull request for these branches of the repository.
    async fn find(&self, wanted: Wanted<'_>) -> Asked<Option<String>> {
        let Wanted { head, base, commit } = wanted;
        for page in 1..=PAGES {
            let path = format!(
                "{}/pulls?state=open&head={}:{}&base={}&per_page=50&limit=50&page={page}",
                self.repository(),
                address::encode_query(&self.place.owner),
                address::encode_query(head),
                address::encode_query(base)
            );
            let answer = self.call("GET", &path, None).await?;
            if answer.status != 200 {
                return Err(self.refused(&answer, "did not list pull requests"));
            }
            let found = answer.json();
            let Some(list) = found.as_array() else {
                return Err(self.unreached("it sent no list of pull requests"));
            };
            // Gitea lists them all; a fork's branch may have the same name.
            let ours = |pull: &&Value| {
                let name = |end: &Value| end["ref"].as_str().map(str::to_owned);
                let from = pull["head"]["repo"]["full_name"].as_str();
                // The repository of a deleted fork has no name; then only the commit tells.
                let is_tested = pull["head"]["sha"].as_str() == Some(commit);
                name(&pull["head"]).as_deref() == Some(head)
                    && name(&pull["base"]).as_deref() == Some(base)
                    && from.map_or(is_tested, |from| {
                        from.eq_ignore_ascii_case(&self.place.path())
                    })
            };
            if let Some(url) = list.iter().find(ours).and_then(url_of) {
                return Ok(Some(url));
            }
            if list.len() < 50 {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn repository(&self) -> String {
        format!(
            "/repos/{}/{}",
            address::encode(&self.place.owner),
            address::encode(&self.place.name)
        )
    }

    /// One call; made again where the host says that it was too much, or could not answer.
    async fn call(&self, method: &'static str, path: &str, body: Option<&Value>) -> Asked<Answer> {
        let mut pause = Duration::from_millis(500);
        for left in (0..TRIES).rev() {
            let answer = self.send(method, path, body).await;
            let again = match &answer {
                Ok(answer) => match answer.wait() {
                    Some(wait) if wait > LONGEST => return Err(self.later(answer, wait)),
                    Some(wait) => Some(wait),
                    // What a failed POST has done is only seen by looking.
                    None => (answer.status >= 500 && method == "GET").then_some(pause),
                },
                Err(_) => (method == "GET").then_some(pause),
            };
            match again.filter(|_| left > 0) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return answer.map_err(|text| self.unreached(&text)),
            }
            pause *= 2;
        }
        Err(self.unreached("it did not answer"))
    }

    async fn send(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let body = body.map(ToString::to_string);
        let token = match &self.way {
            Way::Token(token) => token,
            Way::Gh(gh) => return gh.send(method, path, body).await,
        };
        let scheme = match self.api.kind {
            HostKind::Github => "Bearer",
            HostKind::Gitea => "token",
        };
        let request = Request {
            method,
            url: format!("{}{path}", self.api.base),
            authorization: format!("{scheme} {token}"),
            body,
        };
        http::send(&request).await
    }

    fn without_token(&self, text: &str) -> String {
        match &self.way {
            Way::Token(token) => text.replace(token, "***"),
            Way::Gh(_) => text.to_owned(),
        }
    }

    /// The host's answer is none that helps: a refusal, unless the host says that it failed itself, or what no host of
    /// this kind says.
    fn refused(&self, answer: &Answer, what: &str) -> Failed {
        let error = self.said(answer, what);
        match answer.status {
            300..=407 | 409..=499 => Failed::Refused(error),
            _ => Failed::Unclear(error.hint(AGAIN)),
        }
    }

    /// What the host said, without the token.
    fn said(&self, answer: &Answer, what: &str) -> CliError {
        // Before the text is cut: a cut token would not be found.
        let said = one_line(&self.without_token(&answer.said()), 500);
        let text = format!("{} {what}: {} {said}", self.api.host(), answer.status);
        let error = CliError::new(text);
        match answer.status {
            401 => error.hint("the token is unknown to the host, or has ended"),
            403 => {
                error.hint("the token lacks the right to write pull requests of this repository")
            }
            404 => error.hint("the repository does not exist there, or the token may not see it"),
            _ => error,
        }
    }

    fn later(&self, answer: &Answer, wait: Duration) -> Failed {
        let seconds = wait.as_secs();
        let hint = format!("its limit is used up; give the same command again in {seconds} s");
        Failed::Unclear(self.said(answer, "asks us to wait").hint(hint))
    }

    fn unreached(&self, why: &str) -> Failed {
        let why = one_line(&self.without_token(why), 500);
        let text = format!("{} did not answer: {why}", self.api.base);
        Failed::Unclear(CliError::new(text).hint(AGAIN))
    }
}

/// What helps where an answer did not come.
const AGAIN: &str = "the promotion is still asked for; the same command goes on with it, and looks for an open pull request before it asks for one";

fn url_of(pull: &Value) -> Option<String> {
    pull["html_url"].as_str().map(str::to_owned)
}

/// What reviewers read.
fn text(run: &types::Run, promotion: &types::Promotion) -> String {
    let counts = run.counts.unwrap_or_default();
    format!(
        "{}\n\n- Run: `{}` (`{}`)\n- Tested commit: `{}`\n- Phases complete: {}\n\nEach phase passed its gate before it landed, and every rule of promotion held when this was opened.\n",
        run.goal.trim(),
        run.id,
        run.uid,
        promotion.tested_commit,
        counts.complete
    )
}
