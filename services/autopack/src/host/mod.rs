//! Pull requests on the repository's host, for GitHub and for hosts that speak Gitea's API.
//!
//! Invariant: a token goes to github.com or to an API address that the user named, never to a host that a repository
//! named; it is not stored, and struck out of whatever is shown. An open pull request for the same branches is found
//! before another one is opened.
//!
//! - [`address`]: which repository on which host
//! - [`http`]: one request and its answer

mod address;
mod http;
#[cfg(test)]
mod tests;

use std::time::Duration;

use autopack_wire::types;
use serde_json::{Value, json};

use self::{
    address::{Api, Place},
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

/// A repository on a host, and who asks.
pub(crate) struct Host {
    api: Api,
    place: Place,
    token: String,
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
    let token = names.iter().find_map(set);
    let token = token.ok_or_else(|| {
        CliError::usage(format!("no token for {}", api.host()))
            .hint(format!("set one of {}", names.join(", ")))
    })?;
    Ok(Host { api, place, token })
}

impl Host {
    /// The address of the pull request that asks for this promotion: the one that is open, or a new one.
    pub(crate) async fn pull_request(
        &self,
        run: &types::Run,
        promotion: &types::Promotion,
    ) -> Result<String, CliError> {
        self.check_head(run, promotion).await?;
        let (head, base) = (run.branch.as_str(), promotion.target_branch.as_str());
        if let Some(url) = self.find(head, base).await? {
            return Ok(url);
        }
        let body = json!({
            "title": format!("{}: {}", run.id, one_line(&run.goal, 200)),
            "body": text(run, promotion),
            "head": head,
            "base": base,
        });
        let answer = self
            .call("POST", &format!("{}/pulls", self.repository()), Some(&body))
            .await?;
        match answer.status {
            200 | 201 => url_of(&answer.json())
                .ok_or_else(|| self.refused(&answer, "opened a pull request without an address")),
            // There already: opened by somebody in the same instant, or by us and the answer was lost.
            409 | 422 => match self.find(head, base).await? {
                Some(url) => Ok(url),
                None => Err(self.refused(&answer, "did not open the pull request")),
            },
            _ => Err(self.refused(&answer, "did not open the pull request")),
        }
    }

    /// The host must have the integration branch, at the commit whose tree the gates have seen.
    async fn check_head(
        &self,
        run: &types::Run,
        promotion: &types::Promotion,
    ) -> Result<(), CliError> {
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
                return Err(self
                    .refused(
                        &answer,
                        &format!("has no branch {branch}, or does not show it"),
                    )
                    .hint(format!("push it: `{push}`; and check the token's rights")));
            }
            _ => return Err(self.refused(&answer, &format!("did not show the branch {branch}"))),
        }
        let found = answer.json();
        let commit = &found["commit"];
        let tip = commit["sha"].as_str().or_else(|| commit["id"].as_str());
        if tip == Some(promotion.tested_commit.as_str()) {
            return Ok(());
        }
        Err(CliError::new(format!(
            "{branch} is at {} on {}, and the gates have seen {}",
            tip.unwrap_or("an unknown commit"),
            self.api.host(),
            promotion.tested_commit
        ))
        .hint(format!("push what was tested: `{push}`")))
    }

    /// The open pull request for these branches of the repository.
    async fn find(&self, head: &str, base: &str) -> Result<Option<String>, CliError> {
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
            let list = found.as_array().map_or(&[] as &[Value], Vec::as_slice);
            // Gitea lists them all; a fork's branch may have the same name.
            let ours = |pull: &&Value| {
                let name = |end: &Value| end["ref"].as_str().map(str::to_owned);
                let from = pull["head"]["repo"]["full_name"].as_str();
                name(&pull["head"]).as_deref() == Some(head)
                    && name(&pull["base"]).as_deref() == Some(base)
                    && from.is_none_or(|from| from.eq_ignore_ascii_case(&self.place.path()))
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
    async fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, CliError> {
        let request = Request {
            method,
            url: format!("{}{path}", self.api.base),
            authorization: self.authorization(),
            body: body.map(ToString::to_string),
        };
        let mut pause = Duration::from_millis(500);
        for left in (0..TRIES).rev() {
            let answer = http::send(&request).await;
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

    fn authorization(&self) -> String {
        match self.api.kind {
            HostKind::Github => format!("Bearer {}", self.token),
            HostKind::Gitea => format!("token {}", self.token),
        }
    }

    /// What the host said, without the token.
    fn refused(&self, answer: &Answer, what: &str) -> CliError {
        // Before the text is cut: a cut token would not be found.
        let said = one_line(&answer.said().replace(&self.token, "***"), 500);
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

    fn later(&self, answer: &Answer, wait: Duration) -> CliError {
        self.refused(answer, "asks us to wait").hint(format!(
            "its limit is used up; try again in {} s",
            wait.as_secs()
        ))
    }

    fn unreached(&self, why: &str) -> CliError {
        let why = why.replace(&self.token, "***");
        CliError::new(format!("{} cannot be reached: {why}", self.api.base))
            .hint("the promotion is still asked for; the same command goes on with it")
    }
}

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
