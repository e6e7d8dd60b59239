//! `CreateRun`: reads and normalises the plan, compiles the strategy, stores the run.
//!
//! Invariant: same id and digest is the same run; same id and another digest is refused with what differs;
//! `validate_only` stores nothing.

use std::{collections::BTreeMap, sync::Arc};

use autopack_domain::{
    Fault, Reason, Refusal, RunId, RunUid, TraceContext,
    import::ORIGIN_FACT,
    plan::{
        BuilderSpec, GateProfile, Normalised, Plan, ReadOptions, derive_run_id, patch_paths,
        plan_digest, read_builder, read_plan, set_patch_digest,
    },
    run::{Run, RunAggregate, create::NewRun},
    strategy::Strategy,
    trace::{CALLER_FACT, CONTEXT_FACT},
};
use autopack_policy::strategy::{Overrides, compile};
use autopack_store::read;
use autopack_store_write::WriteError;

use super::{Core, project::check_project, request_key, sha256, store_refusal, write_refusal};

/// What a client asks for.
#[derive(Clone, Debug, Default)]
pub struct NewRunRequest {
    /// Makes the call idempotent.
    pub request_id: String,
    /// The plan as written.
    pub document: String,
    /// Digest of each file that the plan names.
    pub files: BTreeMap<String, String>,
    /// Path or address of the repository.
    pub repository: String,
    /// Instead of the plan's id.
    pub run_id: String,
    /// Wait for `StartRun`.
    pub hold: bool,
    /// Store nothing.
    pub validate_only: bool,
    /// Always a new run.
    pub fresh: bool,
    /// Builder of phases that name none, JSON.
    pub default_builder_json: String,
    /// Project, if the plan names none.
    pub default_project: String,
    /// Gate profile of phases that name none.
    pub default_gate_profile: String,
    /// Attempts of phases that name none; 0: the strategy's.
    pub default_max_attempts: u32,
    /// Facts for later comparison.
    pub facts: BTreeMap<String, String>,
    /// The trace context of the call.
    pub caller: Option<TraceContext>,
    /// First back-off.
    pub backoff_seconds: Option<u32>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct CreatedRun {
    /// The run.
    pub run: Run,
    /// It was there already.
    pub existing: bool,
    /// Plan, warnings and provenance.
    pub normalised: Normalised,
    /// The strategy.
    pub strategy: Strategy,
}

/// Plans at most this long.
pub const MAX_DOCUMENT: usize = 4 << 20;
/// Suffixes tried for `fresh`.
const MAX_SUFFIX: u32 = 1000;

impl Core {
    /// Stores a run, or finds the one that the same request made before.
    pub async fn create_run(&self, request: NewRunRequest) -> Result<CreatedRun, Refusal> {
        if request.document.len() > MAX_DOCUMENT {
            return Err(Refusal::new(
                Reason::LimitExceeded,
                format!("the plan has more than {MAX_DOCUMENT} bytes"),
            )
            .with("max", MAX_DOCUMENT));
        }
        let mut normalised = read_plan(&request.document, &options(&request)?)
            .map_err(|faults| Refusal::invalid(Reason::PlanInvalid, faults))?;
        check_built(&normalised)?;
        if normalised.plan.run.project.is_empty() {
            normalised.plan.run.project = if request.default_project.is_empty() {
                "default".to_owned()
            } else {
                request.default_project.clone()
            };
            let source = if request.default_project.is_empty() {
                autopack_domain::Source::Builtin
            } else {
                autopack_domain::Source::Repository
            };
            normalised
                .provenance
                .insert("run.project".to_owned(), source);
        }
        check_project(&normalised.plan.run.project)?;
        let bare_digest = plan_digest(&normalised.plan);
        self.fill_digests(&mut normalised.plan, &request).await?;
        let files_digest = sha256(format!("{:?}", request.files).as_bytes());
        let digest =
            sha256(format!("{bare_digest}\n{files_digest}\n{}", request.repository).as_bytes());
        let ruleset = self.ruleset(&normalised.plan.run.project).await?;
        let overrides = Overrides {
            backoff_seconds: request.backoff_seconds,
        };
        let (project, profile) = {
            let run = &normalised.plan.run;
            (&run.project, run.safety_profile)
        };
        let backlog = self.backlog(project, &ruleset, profile).await?;
        let strategy = compile(&ruleset, &backlog, &normalised.plan, overrides);
        let id = match &normalised.plan.run.id {
            Some(id) => id.clone(),
            None => derive_run_id(&normalised.plan.run.goal, &digest),
        };
        normalised.plan.run.id = Some(id.clone());
        self.warn_of_ids(id.as_str(), &mut normalised).await?;
        let mut facts = request.facts.clone();
        // Only the import says so.
        facts.remove(ORIGIN_FACT);
        facts.insert("plan_digest".to_owned(), bare_digest);
        facts.insert("files_digest".to_owned(), files_digest);
        facts.insert("plan_form".to_owned(), normalised.form.as_str().to_owned());
        facts.insert(
            "plan_warnings".to_owned(),
            normalised.warnings.len().to_string(),
        );
        let uid = RunUid(self.ports.ids.uuid());
        self.trace(uid, request.caller, &mut facts);
        let mut new = NewRun {
            uid,
            id,
            project: normalised.plan.run.project.clone(),
            repository: request.repository.clone(),
            digest,
            hold: request.hold,
            facts,
        };
        if request.validate_only {
            let (aggregate, _) = RunAggregate::create(
                new,
                Arc::new(normalised.plan.clone()),
                Arc::new(strategy.clone()),
                self.now(),
            );
            return Ok(CreatedRun {
                run: aggregate.run,
                existing: false,
                normalised,
                strategy,
            });
        }
        if request.repository.is_empty() {
            let fault = Fault::new("repository", "is missing").example("/home/me/project");
            return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
        }
        if request.fresh {
            new.id = self.free_id(&new.id).await?;
        } else if let Some(run) = self.same_run(&new).await? {
            return Ok(CreatedRun {
                run,
                existing: true,
                normalised,
                strategy,
            });
        }
        let key = request_key(
            &request.request_id,
            "CreateRun",
            &format!("{}\n{}\n{}", new.digest, request.hold, request.fresh),
        )?;
        let plan = Arc::new(normalised.plan.clone());
        let frozen = Arc::new(strategy.clone());
        let clock = Arc::clone(&self.ports.clock);
        let wanted = new.clone();
        let stored = self
            .writer
            .create(key, move || {
                RunAggregate::create(
                    new.clone(),
                    Arc::clone(&plan),
                    Arc::clone(&frozen),
                    clock.now(),
                )
            })
            .await;
        let (run, existing) = match stored {
            Ok(run) => (run, false),
            Err(WriteError::Repeated(uid)) => (
                self.writer
                    .read(uid, |a| a.run.clone())
                    .await
                    .map_err(write_refusal)?,
                true,
            ),
            // Somebody created the same id between the look and the write.
            Err(WriteError::Refused(refusal)) if refusal.reason == Reason::RunExists => {
                (self.same_run(&wanted).await?.ok_or(refusal)?, true)
            }
            Err(error) => return Err(write_refusal(error)),
        };
        (self.ports.failpoint)("registry.before_reply");
        Ok(CreatedRun {
            run,
            existing,
            normalised,
            strategy,
        })
    }

    /// The run's trace, if it has one, as facts: it is decided here once for all that happens to the run.
    fn trace(
        &self,
        uid: RunUid,
        caller: Option<TraceContext>,
        facts: &mut BTreeMap<String, String>,
    ) {
        facts.remove(CONTEXT_FACT);
        facts.remove(CALLER_FACT);
        let root = TraceContext::of_run(uid, true);
        if self
            .ports
            .traces
            .as_ref()
            .is_some_and(|r| r.keeps(root, "run"))
        {
            facts.insert(CONTEXT_FACT.to_owned(), root.to_string());
            facts.extend(caller.map(|caller| (CALLER_FACT.to_owned(), caller.to_string())));
        }
    }

    /// The run of the same id, if it came from the same plan, files and repository.
    async fn same_run(&self, new: &NewRun) -> Result<Option<Run>, Refusal> {
        let Some(uid) = read::find_run(&self.database.read, new.id.as_str())
            .await
            .map_err(store_refusal)?
        else {
            return Ok(None);
        };
        let run = self
            .writer
            .read(uid, |a| a.run.clone())
            .await
            .map_err(write_refusal)?;
        if run.digest == new.digest {
            return Ok(Some(run));
        }
        let fact = |name: &str| run.facts.get(name) == new.facts.get(name);
        let mut differs = Vec::new();
        if !fact("plan_digest") {
            differs.push("the plan".to_owned());
        }
        if !fact("files_digest") {
            differs.push("the files that the plan names".to_owned());
        }
        if run.repository != new.repository {
            differs.push(format!(
                "the repository ({} there, {} here)",
                run.repository, new.repository
            ));
        }
        Err(Refusal::new(
            Reason::RunExists,
            format!(
                "run `{}` exists ({}) and differs in {}; choose another `run.id` or pass `--new`",
                run.id,
                run.state,
                differs.join(" and ")
            ),
        )
        .with("run", &run.id)
        .with("state", run.state)
        .with("differs", differs.join(", ")))
    }

    async fn free_id(&self, id: &RunId) -> Result<RunId, Refusal> {
        let mut candidate = id.clone();
        for n in 2..MAX_SUFFIX {
            if read::find_run(&self.database.read, candidate.as_str())
                .await
                .map_err(store_refusal)?
                .is_none()
            {
                return Ok(candidate);
            }
            let stem: String = id.as_str().chars().take(120).collect();
            candidate =
                format!("{stem}-{n}")
                    .parse()
                    .map_err(|e: autopack_domain::ids::BadId| {
                        let fault = Fault::new("run_id", e.to_string()).example("demo-1");
                        Refusal::invalid(Reason::ArgumentInvalid, vec![fault])
                    })?;
        }
        Err(Refusal::new(
            Reason::LimitExceeded,
            format!("a thousand runs are called `{id}`"),
        ))
    }

    /// Puts the digests of the plan's files into the plan; each must be stored already.
    pub(crate) async fn fill_digests(
        &self,
        plan: &mut Plan,
        request: &NewRunRequest,
    ) -> Result<(), Refusal> {
        let wanted: Vec<_> = patch_paths(plan)
            .map(|(phase, n, patch)| (phase.id.clone(), n, patch.path.clone()))
            .collect();
        let mut faults = Vec::new();
        for (phase, n, path) in wanted {
            let at = format!("phase {phase}: builder.patch[{n}]");
            match request.files.get(&path) {
                None if request.validate_only => {}
                None => faults.push(Fault::new(
                    at,
                    format!("the digest of `{path}` was not sent with the plan"),
                )),
                Some(digest) => match self.ports.artifacts.stat(digest).await {
                    Ok(Some(_)) => {
                        set_patch_digest(plan, &phase, n, digest);
                    }
                    _ => faults.push(Fault::new(
                        at,
                        format!("no artifact {digest} is stored for `{path}`"),
                    )),
                },
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Refusal::invalid(Reason::PlanInvalid, faults))
        }
    }
}

/// The request's choices as options of the reader; every fault at once.
fn options(request: &NewRunRequest) -> Result<ReadOptions, Refusal> {
    let mut faults = Vec::new();
    let mut options = ReadOptions::default();
    if !request.default_builder_json.is_empty() {
        match read_builder(&request.default_builder_json) {
            Ok(builder) => options.default_builder = Some(builder),
            Err(found) => faults.extend(found),
        }
    }
    if !request.run_id.is_empty() {
        match request.run_id.parse() {
            Ok(id) => options.run_id = Some(id),
            Err(e) => faults.push(Fault::new("run_id", e.to_string()).example("demo-1")),
        }
    }
    if !request.default_gate_profile.is_empty() {
        match GateProfile::parse(&request.default_gate_profile) {
            Some(profile) => options.ci_profile = Some(profile),
            None => faults.push(
                Fault::new(
                    "default_gate_profile",
                    format!("`{}` is not a gate profile", request.default_gate_profile),
                )
                .allowed(GateProfile::spellings()),
            ),
        }
    }
    if request.default_max_attempts > 0 {
        options.max_attempts = Some(request.default_max_attempts);
    }
    if faults.is_empty() {
        Ok(options)
    } else {
        Err(Refusal::invalid(Reason::ArgumentInvalid, faults))
    }
}

/// Refuses a plan with phases that nobody builds.
fn check_built(normalised: &Normalised) -> Result<(), Refusal> {
    if normalised.unbuilt.is_empty() {
        return Ok(());
    }
    let faults = normalised.unbuilt.iter().map(|id| {
        Fault::new(
            format!("phase {id}: builder"),
            "no builder is named; add `builder`, `run.default_builder`, or pass --builder",
        )
        .allowed(BuilderSpec::KINDS.iter().copied())
        .example("builder: { kind: command, run: \"./build.sh\" }")
    });
    Err(Refusal::invalid(Reason::BuilderMissing, faults.collect()))
}
