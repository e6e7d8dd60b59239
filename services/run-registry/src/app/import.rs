//! `ImportRuns`: runs of older systems become stored runs that have ended.
//!
//! Invariant: a run that is there with the same content is left as it is; one with another content, or with a fault, is
//! set aside with every reason, and stops no other run. Nothing is imported in part.

use std::{collections::BTreeMap, sync::Arc};

use autopack_domain::{
    Fault, Reason, Refusal, RunUid,
    import::{HistoricalRun, MAX_DOCUMENT, MAX_DOCUMENTS, Mended, ORIGIN_FACT},
    run::{Changes, Run, RunAggregate, create::NewRun, import::Import},
    states::RunState,
};
use autopack_policy::strategy::{Backlog, Overrides, Ruleset, compile};
use autopack_store::read;
use autopack_store_write::WriteError;

use super::{Core, project::check_project, store_refusal, write_refusal};

/// The project of imported runs, unless the caller names one.
const PROJECT: &str = "imported";
/// Characters of a stored id that an answer repeats.
const SHOWN: usize = 200;

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was stored, or would be.
    Imported,
    /// It was there already.
    Present,
    /// It was not stored.
    SetAside(Vec<Fault>),
}

/// One answer.
#[derive(Clone, Debug)]
pub struct ImportedRun {
    /// Its id.
    pub id: String,
    /// Its uid, if it is stored.
    pub uid: Option<RunUid>,
    /// What became of it.
    pub outcome: Outcome,
    /// The state that it has, or would have.
    pub state: Option<RunState>,
    /// What was mended, or would be.
    pub mended: Vec<Mended>,
}

impl Core {
    /// Takes runs over, one after the other, in the order of the documents.
    pub async fn import_runs(
        &self,
        documents: &[String],
        project: &str,
        validate_only: bool,
    ) -> Result<Vec<ImportedRun>, Refusal> {
        let project = if project.is_empty() { PROJECT } else { project };
        check_project(project)?;
        if documents.len() > MAX_DOCUMENTS {
            let text = format!("a request imports {MAX_DOCUMENTS} runs at most");
            return Err(Refusal::new(Reason::LimitExceeded, text).with("max", MAX_DOCUMENTS));
        }
        let ruleset = self.ruleset(project).await?;
        let mut answers: Vec<ImportedRun> = Vec::with_capacity(documents.len());
        for document in documents {
            let answer = self
                .import_run(document, project, &ruleset, validate_only)
                .await?;
            let twin = |a: &ImportedRun| {
                a.outcome == Outcome::Imported && a.id.eq_ignore_ascii_case(&answer.id)
            };
            // Stored, the first of two would be found by the second.
            if validate_only && answer.outcome == Outcome::Imported && answers.iter().any(twin) {
                let text = "the request has another run of this id";
                answers.push(aside(&answer.id, vec![Fault::new("id", text)]));
            } else {
                answers.push(answer);
            }
        }
        Ok(answers)
    }

    async fn import_run(
        &self,
        document: &str,
        project: &str,
        ruleset: &Ruleset,
        validate_only: bool,
    ) -> Result<ImportedRun, Refusal> {
        if document.len() > MAX_DOCUMENT {
            let text = format!("has more than {MAX_DOCUMENT} bytes");
            return Ok(aside("", vec![Fault::new("document", text)]));
        }
        let history: HistoricalRun = match serde_json::from_str(document) {
            Ok(history) => history,
            Err(error) => {
                let text = format!("is no run of the past: {error}");
                return Ok(aside("", vec![Fault::new("document", text)]));
            }
        };
        let (aggregate, changes, mended) = match self.taken_over(&history, project, ruleset) {
            Ok(taken) => taken,
            Err(faults) => return Ok(aside(&history.id, faults)),
        };
        let wanted = aggregate.run.clone();
        if let Some(found) = self.known(&wanted).await? {
            return Ok(found);
        }
        let imported = ImportedRun {
            id: wanted.id.to_string(),
            uid: (!validate_only).then_some(wanted.uid),
            outcome: Outcome::Imported,
            state: Some(wanted.state),
            mended,
        };
        if validate_only {
            return Ok(imported);
        }
        let create = move || (aggregate.clone(), changes.clone());
        match self.writer.create(None, create).await {
            Ok(_) => {
                (self.ports.failpoint)("registry.before_reply");
                Ok(imported)
            }
            // Somebody stored the id between the look and the write.
            Err(WriteError::Refused(refusal)) if refusal.reason == Reason::RunExists => {
                self.known(&wanted).await?.ok_or(refusal)
            }
            Err(error) => Err(write_refusal(error)),
        }
    }

    /// The stored run that it becomes.
    fn taken_over(
        &self,
        history: &HistoricalRun,
        project: &str,
        ruleset: &Ruleset,
    ) -> Result<(RunAggregate, Changes, Vec<Mended>), Vec<Fault>> {
        let sound = history.check()?;
        let (plan, places) = history.plan(project);
        let overrides = Overrides {
            backoff_seconds: None,
        };
        let strategy = compile(ruleset, &Backlog::default(), &plan, overrides);
        let new = NewRun {
            uid: RunUid(self.ports.ids.uuid()),
            id: sound.id.clone(),
            project: project.to_owned(),
            repository: String::new(),
            digest: history.digest(),
            hold: false,
            facts: BTreeMap::new(),
        };
        let import = Import {
            history,
            sound: &sound,
            places: &places,
            epoch: self.epoch,
        };
        let mut mint = || self.ports.ids.uuid();
        let taken =
            RunAggregate::import(new, &import, Arc::new(plan), Arc::new(strategy), &mut mint);
        let (aggregate, changes) = taken.map_err(|fault| vec![fault])?;
        Ok((aggregate, changes, sound.mended))
    }

    /// The answer for an id that is taken: by the same run, or by another one.
    async fn known(&self, wanted: &Run) -> Result<Option<ImportedRun>, Refusal> {
        let found = read::find_run(&self.database.read, wanted.id.as_str()).await;
        let Some(uid) = found.map_err(store_refusal)? else {
            return Ok(None);
        };
        let stored = match read::run(&self.database.read, uid).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(None),
            Err(autopack_store::StoreError::Corrupt(corrupt)) => {
                let text = format!("a run of this id is stored and cannot be read: {corrupt}");
                return Ok(Some(aside(
                    wanted.id.as_str(),
                    vec![Fault::new("id", text)],
                )));
            }
            Err(error) => return Err(store_refusal(error)),
        };
        if stored.digest == wanted.digest && stored.is_imported() {
            return Ok(Some(ImportedRun {
                id: stored.id.to_string(),
                uid: Some(uid),
                outcome: Outcome::Present,
                state: Some(stored.state),
                mended: Vec::new(),
            }));
        }
        let from = stored.facts.get(ORIGIN_FACT);
        let from = from.map_or("made here".to_owned(), |from| format!("from {from}"));
        let text = format!(
            "run `{}` is stored already, with another content ({}, {from}), and that one stays; to keep both, import this one \
             into another database (--data-dir), or under another id in a copy of what is imported",
            stored.id, stored.state
        );
        let fault = Fault::new("id", text);
        Ok(Some(aside(wanted.id.as_str(), vec![fault])))
    }
}

fn aside(id: &str, faults: Vec<Fault>) -> ImportedRun {
    ImportedRun {
        id: id.chars().take(SHOWN).collect(),
        uid: None,
        outcome: Outcome::SetAside(faults),
        state: None,
        mended: Vec::new(),
    }
}
