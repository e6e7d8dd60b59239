//! One answer of a model: asked, waited for, escalated once if it was cut, and read.
//!
//! Invariant: at most one escalation in an attempt, and none in one that follows an answer which could not be used:
//! that one begins with the larger budget. Waits are short and counted; longer ones hand the phase back.

use autopack_adapters::endpoint::{Refusal, Reply, Stop as End, Who};
use autopack_domain::Cause;
use autopack_domain::plan::AnswerForm;
use autopack_policy::answer::{self, Answer, Problem};
use autopack_policy::output::{escalate, is_cut};
use autopack_policy::prompt::{Material, Prompt, assemble};
use autopack_policy::provider::Wait;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::{Job, settle};
use super::change::{Draft, unusable};
use super::material::Sight;
use super::{Asking, No, capped, usage};
use crate::error::Stop;
use crate::models::{Asked, Question, ask};

/// Short waits in one answer.
const MAX_WAITS: u32 = 3;

/// What a call brought.
enum Called {
    Reply(Reply),
    TooLong(String),
}

/// Asks for what is wanted (all of the task if nothing is named) until there is an answer that can be read.
pub(super) async fn answer(
    job: &mut Job<'_>,
    sight: &Sight,
    draft: &Draft,
    asking: &mut Asking<'_>,
    wanted: &[String],
    budget: u64,
) -> Result<Answer, No> {
    let mut budget = budget;
    if asking.may_escalate && job.leased.previous.0 == Cause::AnswerUnusable.code() {
        asking.may_escalate = false;
        raise(job, asking, &mut budget, 0);
    }
    let mut context = u64::from(asking.spec.context_tokens);
    let mut shrunk = false;
    let mut prompt = show(job, sight, draft, asking, wanted, context);
    let mut turns = vec![(Who::User, prompt.user.clone())];
    let mut whole = Answer::default();
    loop {
        let reply = match call(job, asking, &prompt.system, &turns, budget).await? {
            Called::Reply(reply) => reply,
            Called::TooLong(_) if !shrunk => {
                shrunk = true;
                context /= 2;
                job.warn("the question was longer than the model can read; half as much is shown");
                prompt = show(job, sight, draft, asking, wanted, context);
                turns = vec![(Who::User, prompt.user.clone())];
                continue;
            }
            Called::TooLong(words) => {
                let text = format!("the question is longer than the model can read: {words}");
                return Err(Stop::failed(Cause::ProviderRefused, text).into());
            }
        };
        archive(job, &reply).await;
        let told = reply.stop == Some(End::Length);
        asking.sums.ended(&reply, budget, told);
        if reply.stop == Some(End::Declined) {
            let text = "the model, or a filter before it, declines to answer";
            return Err(Stop::failed(Cause::AnswerUnusable, text).into());
        }
        let read = answer::read(asking.form, &reply.text, told);
        let used = reply.tokens.output.unwrap_or(0);
        let problem = match read {
            Ok(found) if !told => {
                whole.extend(found).map_err(unusable)?;
                if whole.is_short() {
                    let text = format!(
                        "it announces {} operations and has {}",
                        whole.announced.unwrap_or(0),
                        whole.operations
                    );
                    return Err(unusable(Problem::Form(text)).into());
                }
                return Ok(whole);
            }
            Ok(found) => {
                if asking.form == AnswerForm::Lines && found.operations > 0 && asking.may_escalate {
                    go_on(&mut turns, &mut whole, found, &reply.text)?;
                }
                Problem::Form(format!("it was cut off at {budget} tokens"))
            }
            Err(problem @ Problem::Escape(_)) => return Err(unusable(problem).into()),
            Err(problem) if !is_cut(told, used, budget) => return Err(unusable(problem).into()),
            Err(_) => Problem::Form(format!("it was cut off at {budget} tokens")),
        };
        if !asking.may_escalate || !raise(job, asking, &mut budget, used) {
            return Err(unusable(problem).into());
        }
        asking.may_escalate = false;
    }
}

/// Keeps what is complete, and asks for the rest.
fn go_on(
    turns: &mut Vec<(Who, String)>,
    whole: &mut Answer,
    found: Answer,
    text: &str,
) -> Result<(), Stop> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let count = found.operations;
    if whole.announced.is_none() {
        whole.announced = found.announced;
        whole.summary.clone_from(&found.summary);
    }
    whole.extend(found).map_err(unusable)?;
    turns.push((Who::Model, complete.to_owned()));
    let text = format!(
        "Your answer broke off after {count} operations. Go on with the next line in the same form; leave out the first line, and repeat nothing."
    );
    turns.push((Who::User, text));
    Ok(())
}

/// A larger budget; `false`: there is none.
fn raise(job: &mut Job<'_>, asking: &Asking<'_>, budget: &mut u64, used: u64) -> bool {
    let next = escalate(*budget, *budget, used).map(|next| capped(next, asking));
    let Some(next) = next.filter(|next| next > budget) else {
        return false;
    };
    job.fact("token_escalation", json!({ "from": *budget, "to": next }));
    *budget = next;
    true
}

fn show(
    job: &mut Job<'_>,
    sight: &Sight,
    draft: &Draft,
    asking: &Asking<'_>,
    wanted: &[String],
    cap: u64,
) -> Prompt {
    let mut files = sight.files.clone();
    for file in &mut files {
        if let Some(text) = draft.files.get(&file.path) {
            file.text = text.clone().unwrap_or_default();
        }
    }
    let prompt = assemble(Material {
        task: &sight.task,
        words: &asking.spec.prompt,
        files,
        paths: &sight.paths,
        wanted: wanted.to_vec(),
        form: asking.form,
        cap,
    });
    job.fact(
        "context",
        json!({
            "mode": "lexical",
            "cap": cap,
            "tokens": prompt.tokens,
            "kept": prompt.kept.len(),
            "shortened": prompt.shortened.len(),
            "omitted": prompt.omitted.len(),
            "tokens_avoided": prompt.avoided,
        }),
    );
    prompt
}

/// One call, repeated after short waits.
async fn call(
    job: &mut Job<'_>,
    asking: &mut Asking<'_>,
    system: &str,
    turns: &[(Who, String)],
    budget: u64,
) -> Result<Called, No> {
    let mut waits = 0;
    loop {
        let lease = job.lease;
        let question = Question {
            target: &asking.target,
            system,
            turns,
            max_output: budget,
            silence: job.cx.config.model_silence,
            deadline: asking.deadline,
            cancel: &lease.cancel,
        };
        let bytes = question.bytes();
        let asked = ask(&job.cx.host.models, &question).await;
        if !matches!(asked, Asked::Held(_)) {
            asking.calls += 1;
        }
        let (wait, words) = match asked {
            Asked::Reply(reply) => {
                usage::book(job, asking, &reply, bytes)?;
                lease.check()?;
                return Ok(Called::Reply(reply));
            }
            Asked::Broken(reply, words, wait) => {
                usage::book(job, asking, &reply, bytes)?;
                (wait, words)
            }
            Asked::Refused(Refusal::TooLong, words, _) => return Ok(Called::TooLong(words)),
            Asked::Refused(why, words, wait) => match why {
                Refusal::Paused(_) | Refusal::Exhausted(_) | Refusal::Failed => {
                    (wait, format!("{}: {words}", why.as_str()))
                }
                Refusal::Key | Refusal::Model | Refusal::TooLong | Refusal::Request => {
                    let (provider, model) = (&asking.target.provider, &asking.target.model);
                    let text =
                        format!("`{provider}` refuses `{model}` ({}): {words}", why.as_str());
                    return Err(Stop::failed(Cause::ProviderRefused, text).into());
                }
            },
            Asked::Held(wait) => (wait, "it asked to be left alone before".to_owned()),
        };
        lease.check()?;
        if Instant::now() >= asking.deadline {
            let text = format!(
                "the model did not end within {} s",
                asking.spec.timeout_seconds
            );
            return Err(Stop::failed(Cause::BuilderTimeout, text).into());
        }
        waits += 1;
        if waits > MAX_WAITS || !is_short(job, asking, wait) {
            return Err(No::Wait(wait, words));
        }
        job.warn(format!(
            "asked again after {} ms: {words}",
            wait.time.as_millis()
        ));
        lease
            .guard(async {
                sleep(wait.time).await;
                Ok::<_, Stop>(())
            })
            .await?;
    }
}

/// Whether a wait is worth holding the phase for.
fn is_short(job: &Job<'_>, asking: &Asking<'_>, wait: Wait) -> bool {
    !wait.exhausted
        && wait.time <= job.cx.config.model_patience
        && Instant::now() + wait.time < asking.deadline
}

/// Keeps the answer among the attempt's artifacts, secrets out.
async fn archive(job: &mut Job<'_>, reply: &Reply) {
    if reply.text.is_empty() {
        return;
    }
    let shown = job.cx.redactor.redact(&reply.text);
    if let Some(stored) = settle::put(job, "model-answer", shown.into_bytes()).await {
        job.evidence.submitted.push(stored);
    }
}
