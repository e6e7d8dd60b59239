//! Approvals: which changes wait for a person's word, and the word.
//!
//! Invariant: a word is one command on the run; nothing is decided here.

use autopack_domain::{
    Fault, Reason, Refusal, RunUid,
    phase::Phase,
    run::{Run, approve::Word},
};
use autopack_store::{approvals, read};

use super::{Core, request_key, store_refusal, submissions::OnPhase};

/// Approvals of a page by default, and at most.
const PAGE: (u32, u32) = (100, 1000);
/// Characters of a note or a name at most.
const WORDS: usize = 1000;

/// A phase with its approval, and its run.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The run.
    pub run: Run,
    /// Index of the phase.
    pub index: usize,
    /// The phase.
    pub phase: Phase,
}

impl Core {
    /// A page of phases that ask for an approval, and the token of the next page.
    pub async fn list_approvals(
        &self,
        run: &str,
        with_decided: bool,
        size: u32,
        token: &str,
    ) -> Result<(Vec<Pending>, String), Refusal> {
        let one = match run {
            "" => None,
            id => Some(self.find(id).await?.to_string()),
        };
        let after = match token {
            "" => None,
            token => Some(position(token)?),
        };
        let size = if size == 0 { PAGE.0 } else { size.min(PAGE.1) } as usize;
        let after = after.as_ref().map(|(run, index)| (run.as_str(), *index));
        let db = &self.database.read;
        let found = approvals::list(db, one.as_deref(), after, size as u64 + 1).await;
        let found = found.map_err(store_refusal)?;
        let next = match found.get(size.wrapping_sub(1)) {
            Some(last) if found.len() > size => format!("{}~{}", last.run, last.index),
            _ => String::new(),
        };
        let mut page = Vec::new();
        for asking in found.into_iter().take(size) {
            let approval = asking
                .phase
                .handoff
                .as_ref()
                .and_then(|h| h.approval.as_ref());
            let is_open = approval.is_some_and(|approval| approval.decision.is_none());
            let Ok(uid) = asking.run.parse::<RunUid>() else {
                continue;
            };
            if !(is_open || with_decided) {
                continue;
            }
            if let Some(run) = read::run(db, uid).await.map_err(store_refusal)? {
                page.push(Pending {
                    run,
                    index: asking.index,
                    phase: asking.phase,
                });
            }
        }
        Ok((page, next))
    }

    /// Takes a person's word in.
    pub async fn decide_approval(
        &self,
        run: RunUid,
        request_id: &str,
        phase: &str,
        word: Word,
    ) -> Result<OnPhase, Refusal> {
        let by: String = word.by.trim().chars().take(WORDS).collect();
        if by.is_empty() {
            let fault = Fault::new("decided_by", "is missing: a word has somebody who gives it");
            return Err(Refusal::invalid(
                Reason::ArgumentInvalid,
                vec![fault.example("ada")],
            ));
        }
        let note = word.note.chars().take(WORDS).collect();
        let word = Word { by, note, ..word };
        let body = format!("{run}\n{phase}\n{word:?}");
        let key = request_key(request_id, "DecideApproval", &body)?;
        let wanted = phase.to_owned();
        self.command(run, key, move |a, c, now| {
            let phase = a.find_phase(&wanted)?;
            a.decide_approval(phase, word.clone(), now, c)
        })
        .await?;
        self.on_phase(run, phase).await
    }
}

fn position(token: &str) -> Result<(String, i64), Refusal> {
    let read = token
        .split_once('~')
        .and_then(|(run, index)| Some((run.to_owned(), index.parse().ok()?)));
    read.ok_or_else(|| Refusal::page_token(token))
}
