//! Reads the folder of a run back, in either layout.
//!
//! Invariant: bounded in files and bytes, follows no link, never fails on what it reads: a fault is named with its
//! file, what is right and an example, all faults at once.
//!
//! - [`page`]: summaries, tiers and phases; [`notes`]: issues
//! - [`scan`]: which folders below a base folder are runs

mod notes;
mod page;
pub(crate) mod scan;

use std::{collections::BTreeMap, io, path::Path};

use autopack_domain::{
    Fault,
    alias::meant,
    ids::{ID_RULE, is_user_id},
    states::{PhaseState, RunState, TierState},
};

use self::page::Page;
use super::{
    folder::{Entry, Folder},
    layout::SUMMARY,
};
use crate::view::micros;

pub(crate) use notes::FoundIssue;

/// Bytes of one page.
const MAX_PAGE: u64 = 1 << 20;
/// Tiers of a run.
const MAX_TIERS: usize = 1000;
/// Phases of a run.
const MAX_PHASES: usize = 10_000;

/// A run as its folder tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundRun {
    /// Its id: the name of its folder.
    pub(crate) id: String,
    /// State, with older spellings resolved.
    pub(crate) state: RunState,
    /// Its goal, one line; empty: the folder does not say.
    pub(crate) goal: String,
    /// Its project; empty: the folder does not say.
    pub(crate) project: String,
    /// `normal` or `safety_critical`.
    pub(crate) safety_profile: String,
    /// `multi_tier` or `single_tier`; older ones hold other texts.
    pub(crate) run_scope: String,
    /// Why it failed; empty: the folder does not say.
    pub(crate) failure: String,
    /// When it was created, in microseconds.
    pub(crate) created_us: Option<i64>,
    /// When it ended, in microseconds.
    pub(crate) completed_us: Option<i64>,
    /// Tokens used.
    pub(crate) tokens: u64,
    /// Its tiers, by index; one at least.
    pub(crate) tiers: Vec<FoundTier>,
    /// Its phases, by tier and index.
    pub(crate) phases: Vec<FoundPhase>,
    /// Its issues.
    pub(crate) issues: Vec<FoundIssue>,
    /// What had to be assumed.
    pub(crate) notes: Vec<String>,
}

/// A tier as its file tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundTier {
    pub(crate) id: String,
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) state: TierState,
    /// Phases that its file counts.
    total: Option<u64>,
}

/// A phase as its file tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundPhase {
    pub(crate) id: String,
    pub(crate) index: u32,
    /// Id of its tier.
    pub(crate) tier: String,
    pub(crate) name: String,
    pub(crate) goal: String,
    pub(crate) state: PhaseState,
    pub(crate) task_category: String,
    pub(crate) complexity: String,
    pub(crate) builder_mode: String,
    pub(crate) attempts: u64,
    pub(crate) tokens: u64,
}

/// Reads a run's folder. `Err` holds every fault.
pub(crate) fn read(folder: &Folder, id: &str) -> io::Result<Result<FoundRun, Vec<Fault>>> {
    let mut reader = Reader {
        folder,
        faults: Vec::new(),
        notes: Vec::new(),
    };
    let run = reader.run(id)?;
    let Reader { faults, notes, .. } = reader;
    Ok(match run {
        Some(run) if faults.is_empty() => Ok(FoundRun { notes, ..run }),
        _ => Err(faults),
    })
}

struct Reader<'a> {
    folder: &'a Folder,
    faults: Vec<Fault>,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn run(&mut self, id: &str) -> io::Result<Option<FoundRun>> {
        if !is_user_id(id) {
            let fault = Fault::new("folder", format!("`{id}` is no run id: {ID_RULE}"));
            self.faults.push(fault.example("run-001"));
        }
        let Some(page) = self.page(Path::new(SUMMARY))? else {
            return Ok(None);
        };
        let state = self.state(
            SUMMARY,
            "run",
            &page,
            RunState::parse,
            RunState::spellings(),
        );
        let tiers = self.tiers()?;
        let mut phases = self.phases()?;
        let (issues, tiers_of) = notes::read(self, &phases)?;
        let tiers = self.place(tiers, &mut phases, &tiers_of);
        let text = |key: &str| page.get(key).unwrap_or_default().to_owned();
        let failure = page.get("Cause").or(page.get("Failure Reason"));
        Ok(state.map(|state| FoundRun {
            id: id.to_owned(),
            state,
            goal: page.lead.clone(),
            project: text("Project"),
            safety_profile: page.get("Safety Profile").unwrap_or("normal").to_owned(),
            run_scope: page.get("Run Scope").unwrap_or("multi_tier").to_owned(),
            failure: failure.unwrap_or_default().to_owned(),
            created_us: page
                .get("Created")
                .or(page.get("Created At"))
                .and_then(time),
            completed_us: page
                .get("Completed")
                .or(page.get("Completed At"))
                .and_then(time),
            tokens: page
                .number("Tokens")
                .or(page.number("Tokens Used"))
                .unwrap_or(0),
            tiers,
            phases,
            issues,
            notes: Vec::new(),
        }))
    }

    /// A page, or a fault.
    fn page(&mut self, path: &Path) -> io::Result<Option<Page>> {
        let shown = path.display().to_string();
        let content = match self.folder.read(path, MAX_PAGE) {
            Ok(Some(content)) => content,
            Ok(None) => {
                self.faults.push(Fault::new(shown, "is not there"));
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.faults.push(Fault::new(shown, error.to_string()));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match String::from_utf8(content) {
            Ok(text) => Ok(Some(Page::read(&text))),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let fault = Fault::new(shown, format!("is not UTF-8 at byte {at}"));
                self.faults.push(fault);
                Ok(None)
            }
        }
    }

    /// The state of a page, older spellings resolved; a fault without one.
    fn state<T>(
        &mut self,
        file: &str,
        table: &str,
        page: &Page,
        parse: fn(&str) -> Option<T>,
        valid: Vec<&'static str>,
    ) -> Option<T> {
        let said = page.get("State").unwrap_or_default();
        let found = parse(meant(table, said).unwrap_or(said));
        if found.is_none() {
            let said: String = said.chars().take(100).collect();
            let problem = if said.is_empty() {
                "has no line `- **State:** STATE`".to_owned()
            } else {
                format!("`{said}` is no state of a {table}")
            };
            self.faults
                .push(Fault::new(format!("{file}: State"), problem).allowed(valid));
        }
        found
    }

    /// Files `<kind>_<number>_<rest>.md` of a folder, by number.
    fn numbered(&mut self, kind: &str, most: usize) -> io::Result<Vec<(u32, String, String)>> {
        let place = format!("{kind}s");
        let folder = match self.folder.open(Path::new(&place)) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.faults.push(Fault::new(place, error.to_string()));
                return Ok(Vec::new());
            }
            found => found?,
        };
        let Some(folder) = folder else {
            return Ok(Vec::new());
        };
        let entries = folder.entries(most + 1)?;
        if entries.len() > most {
            let problem = format!("holds more than {most} entries");
            self.faults.push(Fault::new(place, problem));
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for Entry { name, .. } in entries {
            let name = name.to_string_lossy();
            let stem = name
                .strip_prefix(kind)
                .and_then(|rest| rest.strip_prefix('_'));
            let stem = stem.and_then(|rest| rest.strip_suffix(".md"));
            let Some((number, rest)) = stem.and_then(|stem| stem.split_once('_')) else {
                continue;
            };
            if let Ok(number) = number.parse() {
                found.push((number, rest.to_owned(), format!("{place}/{name}")));
            }
        }
        found.sort();
        Ok(found)
    }

    fn id(&mut self, file: &str, id: &str) -> String {
        if !is_user_id(id) {
            let shown: String = id.chars().take(100).collect();
            let fault = Fault::new(file, format!("`{shown}` is no id: {ID_RULE}"));
            self.faults.push(fault.example("P1.1"));
        }
        id.to_owned()
    }

    fn tiers(&mut self) -> io::Result<Vec<FoundTier>> {
        let mut tiers = Vec::new();
        for (index, rest, file) in self.numbered("tier", MAX_TIERS)? {
            let Some(page) = self.page(Path::new(&file))? else {
                continue;
            };
            let valid = TierState::spellings();
            let state = self.state(&file, "tier", &page, TierState::parse, valid);
            let id = self.id(&file, page.get("Tier ID").unwrap_or(&rest));
            let name = match page.name() {
                "" if rest != id => rest.replace('_', " "),
                name => name.to_owned(),
            };
            tiers.extend(state.map(|state| FoundTier {
                id,
                index,
                name,
                state,
                total: page.number("Total"),
            }));
        }
        Ok(tiers)
    }

    fn phases(&mut self) -> io::Result<Vec<FoundPhase>> {
        let mut phases: Vec<FoundPhase> = Vec::new();
        for (index, rest, file) in self.numbered("phase", MAX_PHASES)? {
            let Some(page) = self.page(Path::new(&file))? else {
                continue;
            };
            let valid = PhaseState::spellings();
            let state = self.state(&file, "phase", &page, PhaseState::parse, valid);
            let id = self.id(&file, page.get("Phase ID").unwrap_or(&rest));
            if phases.iter().any(|phase| phase.id == id) {
                let fault = Fault::new(&file, format!("a second file of the phase `{id}`"));
                self.faults.push(fault);
            }
            let text = |key: &str| page.get(key).unwrap_or_default().to_owned();
            phases.extend(state.map(|state| FoundPhase {
                id,
                index,
                tier: text("Tier ID"),
                name: page.name().to_owned(),
                goal: page.lead.clone(),
                state,
                task_category: text("Task Category"),
                complexity: text("Complexity"),
                builder_mode: text("Builder Mode"),
                attempts: page.number("Builder Attempts").unwrap_or(0),
                tokens: page.number("Tokens Used").unwrap_or(0),
            }));
        }
        Ok(phases)
    }

    /// Gives every phase a tier. Older phase files name none: their issues may, else the tiers' own counts.
    fn place(
        &mut self,
        mut tiers: Vec<FoundTier>,
        phases: &mut [FoundPhase],
        tiers_of: &BTreeMap<String, String>,
    ) -> Vec<FoundTier> {
        if tiers.is_empty() {
            self.notes
                .push("no tier file: all phases are in `T1`".to_owned());
            tiers.push(FoundTier {
                id: "T1".to_owned(),
                index: 0,
                name: String::new(),
                state: TierState::Pending,
                total: None,
            });
        }
        let by_count: Vec<&str> = tiers
            .iter()
            .flat_map(|t| {
                let total = t.total.unwrap_or(0).min(MAX_PHASES as u64);
                std::iter::repeat_n(t.id.as_str(), usize::try_from(total).unwrap_or(0))
            })
            .take(MAX_PHASES + 1)
            .collect();
        let counted = by_count.len() == phases.len();
        let mut assumed = 0;
        for (n, phase) in phases.iter_mut().enumerate() {
            let known = |id: &&String| tiers.iter().any(|tier| tier.id == **id);
            let told = Some(&phase.tier).filter(known);
            if let Some(tier) = told.or(tiers_of.get(&phase.id).filter(known)) {
                phase.tier = tier.clone();
                continue;
            }
            let by_count = counted.then(|| by_count[n]);
            phase.tier = by_count.unwrap_or(&tiers[0].id).to_owned();
            assumed += usize::from(tiers.len() > 1);
        }
        if assumed > 0 {
            let how = if counted {
                "the tiers' counts"
            } else {
                "the first tier"
            };
            self.notes
                .push(format!("{assumed} phases name no tier: {how} is taken"));
        }
        tiers
    }
}

/// A time as either system writes it, in microseconds; one without a zone is UTC.
fn time(text: &str) -> Option<i64> {
    let mut text = text.trim().replacen(' ', "T", 1);
    let date_only = !text.contains('T');
    let clock = text.split_once('T').map_or("", |(_, clock)| clock);
    if date_only {
        text.push_str("T00:00:00Z");
    } else if !clock.contains(['Z', 'z', '+', '-']) {
        text.push('Z');
    }
    let parsed: prost_types::Timestamp = text.parse().ok()?;
    Some(micros(&parsed))
}
