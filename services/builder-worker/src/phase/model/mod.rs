//! The model builder: a model behind an HTTP endpoint is shown files of the tip and answers with changes of them.
//!
//! Invariant: what it answers is applied to the tip's tree by the same patch as anybody's edits and goes on to the same
//! judgement; a provider that asks to wait hands the phase back with that wait and costs no attempt.

mod ask;
mod change;
mod material;
mod usage;

use autopack_domain::Cause;
use autopack_domain::plan::{AnswerForm, ModelSpec};
use autopack_git::Oid;
use autopack_policy::answer::Limits;
use autopack_policy::output::{self, Task, batches};
use autopack_policy::prompt;
use autopack_policy::provider::Wait;
use autopack_policy::routing::{Ask, Route, route};
use serde_json::json;
use tokio::time::Instant;

use super::Job;
use super::build::Built;
use crate::error::{Failure, Stop};
use crate::models::Target;
use crate::repo::Opened;

use change::Draft;
use material::Sight;

/// Why there is no answer.
enum No {
    /// The provider must be left alone for so long.
    Wait(Wait, String),
    /// Something else.
    Stop(Stop),
}

impl<S: Into<Stop>> From<S> for No {
    fn from(stop: S) -> Self {
        Self::Stop(stop.into())
    }
}

/// What one attempt has asked for.
struct Asking<'a> {
    spec: &'a ModelSpec,
    target: Target,
    form: AnswerForm,
    deadline: Instant,
    /// A larger budget may still be given.
    may_escalate: bool,
    calls: u32,
    sums: usage::Sums,
}

/// Asks the model and applies its answer.
pub(super) async fn build(
    job: &mut Job<'_>,
    opened: &Opened,
    base: &Oid,
    spec: &ModelSpec,
) -> Result<Built, Stop> {
    let deadline = Instant::now() + std::time::Duration::from_secs(spec.timeout_seconds.into());
    let sight = material::look(job, opened, base).await?;
    let mut tried: Vec<String> = Vec::new();
    let mut held = None;
    // Each turn tries another model, and there are but a few.
    loop {
        let target = choose(job, spec, &tried, held.take())?;
        let mut asking = Asking {
            spec,
            form: spec.answer,
            deadline,
            may_escalate: spec.escalate,
            calls: 0,
            sums: usage::Sums::default(),
            target,
        };
        let drafted = draft(job, &sight, &mut asking).await;
        usage::tell(job, &mut asking);
        match drafted {
            Ok(draft) => return change::apply(job, opened, base, draft).await,
            Err(No::Stop(stop)) => return Err(stop),
            Err(No::Wait(wait, words)) => {
                tried.push(asking.target.provider.clone());
                held = Some((wait, words));
            }
        }
    }
}

/// The model of this phase, whose provider was not tried before.
fn choose(
    job: &mut Job<'_>,
    spec: &ModelSpec,
    tried: &[String],
    held: Option<(Wait, String)>,
) -> Result<Target, Stop> {
    let models = &job.cx.host.models;
    let ask = Ask {
        named: &spec.model,
        fallback: &spec.fallback,
        category: &job.spec.task_category,
        complexity: job.spec.complexity,
        failures: job.leased.charged,
        escalate: spec.escalate,
    };
    let may = |name: &str| {
        models.list.target(spec, name).is_ok_and(|target| {
            !tried.contains(&target.provider)
                && models.held(&target.provider).is_none()
                && models.over(&target.provider).is_none()
        })
    };
    let refused = |problem: String| Stop::failed(Cause::ProviderRefused, problem);
    match route(&models.list.routes, &ask, &may) {
        Route::Model { name, why } => {
            let target = models.list.target(spec, &name).map_err(refused)?;
            job.fact("model", target.model.clone());
            job.fact("model_provider", target.provider.clone());
            job.fact("model_route", why.as_str());
            Ok(target)
        }
        Route::Held { name } => {
            let target = models.list.target(spec, &name).map_err(refused)?;
            let over = models.over(&target.provider);
            let (wait, words) = match (held, over) {
                (Some(held), _) => held,
                (None, Some(wait)) => (wait, "four fifths of `weekly_tokens` are used".to_owned()),
                (None, None) => match models.admit(&target.provider) {
                    Err(wait) => (wait, "it asked to be left alone before".to_owned()),
                    // It has come back this very moment.
                    Ok(_) => return Ok(target),
                },
            };
            let shown = models.shown(&target.provider);
            job.fact("model_provider", target.provider.clone());
            job.fact("provider", shown);
            Err(paused(&target, wait, &words).into())
        }
        Route::None => Err(refused(
            "`builder.model` is `auto`, and the worker's list names no model for such a phase"
                .to_owned(),
        )),
    }
}

/// The phase goes on later.
fn paused(target: &Target, wait: Wait, words: &str) -> Failure {
    let cause = if wait.exhausted {
        Cause::ProviderExhausted
    } else {
        Cause::ProviderPaused
    };
    let text = format!(
        "the provider `{}` cannot be asked for {} s: {words}",
        target.provider,
        wait.time.as_secs().max(1)
    );
    Failure::new(cause, text).after(wait.time)
}

/// Everything that the phase asks for, in one answer or in batches.
async fn draft(job: &mut Job<'_>, sight: &Sight, asking: &mut Asking<'_>) -> Result<Draft, No> {
    let phase = job.spec;
    let task = Task {
        category: &phase.task_category,
        complexity: phase.complexity,
        goal: &phase.goal,
        deliverables: &sight.deliverables,
        scope_paths: phase.scope.paths.as_ref().map_or(0, Vec::len),
    };
    let estimate = output::predict(&task);
    let parts = if asking.spec.batches {
        batches(&task)
    } else {
        Vec::new()
    };
    if asking.form == AnswerForm::Auto {
        asking.form = if parts.is_empty() {
            prompt::form(&sight.deliverables, sight.longest())
        } else {
            AnswerForm::Lines
        };
    }
    let budget = capped(output::budget(&task, &estimate), asking);
    job.fact("answer_form", asking.form.as_str());
    job.fact(
        "estimation",
        json!({
            "category": phase.task_category,
            "complexity": phase.complexity.as_str(),
            "deliverable_count": sight.deliverables.len(),
            "rule": estimate.rule.as_str(),
            "confidence": estimate.confidence,
            "predicted_output_tokens": estimate.tokens,
            "selected_budget": budget,
            "batches": parts.len(),
        }),
    );
    let limits = Limits {
        small_fix: phase.builder_mode == "tweak_light",
        ..Limits::default()
    };
    let mut draft = Draft::new(limits);
    if parts.is_empty() {
        let answer = ask::answer(job, sight, &draft, asking, &[], budget).await?;
        draft.take(sight, answer)?;
        return Ok(draft);
    }
    for part in &parts {
        let wanted: Vec<String> = if part.items.is_empty() {
            vec![
                "corrections that make the files above fit each other; none is a good answer"
                    .to_owned(),
            ]
        } else {
            let names = part.items.iter().filter_map(|n| sight.deliverables.get(*n));
            names.map(|one| one.text.clone()).collect()
        };
        let budget = capped(part.budget, asking);
        let answer = ask::answer(job, sight, &draft, asking, &wanted, budget).await?;
        draft.take(sight, answer)?;
    }
    Ok(draft)
}

/// Within what plan and model allow.
fn capped(budget: u64, asking: &Asking<'_>) -> u64 {
    let plan = asking.spec.max_output.map_or(u64::MAX, u64::from);
    let model = asking.target.max_output.unwrap_or(u64::MAX);
    budget.min(plan).min(model)
}
