//! Reads the folder of a run back, in either layout, as a run of the past.
//!
//! Invariant: bounded in files and bytes, each folder and all together, follows no link, and never fails on what it reads:
//! every fault is named with its file. What the texts mean is checked by [`HistoricalRun::check`], not here.
//!
//! - [`room`]: how much is read
//! - [`page`]: summaries, tiers and phases; [`notes`]: issues
//! - [`scan`]: which folders below a base folder are runs

mod notes;
mod page;
pub(crate) mod room;
pub(crate) mod scan;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io, path::Path};

use autopack_domain::{
    Fault,
    import::{HistoricalPhase, HistoricalRun, HistoricalTier, Origin, SCHEMA, moment},
};

use self::{page::Page, room::Room};
use super::{
    folder::{Entry, Folder},
    layout::SUMMARY,
};

/// Bytes of one page.
const MAX_PAGE: u64 = 1 << 20;
/// Tiers of a run.
const MAX_TIERS: usize = 1000;
/// Phases of a run.
const MAX_PHASES: usize = 10_000;

/// A run as its folder tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The run.
    pub(crate) run: HistoricalRun,
    /// Its project; empty: the folder does not say.
    pub(crate) project: String,
    /// What had to be assumed.
    pub(crate) notes: Vec<String>,
}

/// Reads the folder of a run below a base folder, as far as there is room: if [`Room::is_over`] afterwards, the answer
/// tells nothing. `Err` within holds every fault. Blocks.
pub(crate) fn read(
    base: &Path,
    path: &Path,
    room: &mut Room,
) -> io::Result<Result<Found, Vec<Fault>>> {
    room.enter();
    let folder = match Folder::there(base)? {
        Some(base) => base.open(path)?,
        None => None,
    };
    let folder = folder.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let mut reader = Reader {
        folder: &folder,
        room,
        faults: Vec::new(),
        notes: Vec::new(),
    };
    let run = reader.run(path)?;
    let Reader {
        mut faults, notes, ..
    } = reader;
    let Some((run, project)) = run else {
        return Ok(Err(faults));
    };
    if faults.is_empty() {
        faults.extend(run.check().err().into_iter().flatten());
    }
    Ok(if faults.is_empty() {
        Ok(Found {
            run,
            project,
            notes,
        })
    } else {
        Err(faults)
    })
}

/// The id of the run that a folder is of: its name.
pub(crate) fn id_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

struct Reader<'a> {
    folder: &'a Folder,
    room: &'a mut Room,
    faults: Vec<Fault>,
    notes: Vec<String>,
}

/// A tier, and the phases that its file counts.
type Counted = (HistoricalTier, usize);

impl Reader<'_> {
    fn run(&mut self, path: &Path) -> io::Result<Option<(HistoricalRun, String)>> {
        let Some(page) = self.page(Path::new(SUMMARY))? else {
            return Ok(None);
        };
        let tiers = self.tiers()?;
        let mut phases = self.phases()?;
        let (issues, tiers_of) = notes::read(self, &phases)?;
        let tiers = self.place(tiers, &mut phases, &tiers_of);
        let text = |key: &str| page.get(key).unwrap_or_default().to_owned();
        let time = |key: &str| page.get(key).and_then(moment::parse);
        let created_at = if let Some(told) = time("Created").or(time("Created At")) {
            told
        } else {
            let note = format!("{SUMMARY} has no time of creation: that of the file is taken");
            self.notes.push(note);
            self.folder.modified(SUMMARY.as_ref())?
        };
        let cause = page.get("Cause").or(page.get("Failure Reason"));
        let run = HistoricalRun {
            schema: SCHEMA.to_owned(),
            origin: Origin {
                kind: "folder".to_owned(),
                name: id_of(path),
                key: path.display().to_string(),
            },
            id: id_of(path),
            state: text("State"),
            goal: page.lead.clone(),
            safety_profile: text("Safety Profile"),
            run_scope: text("Run Scope"),
            created_at,
            completed_at: time("Completed").or(time("Completed At")),
            failure: cause.unwrap_or_default().to_owned(),
            texts: page.fields(),
            tiers,
            phases,
            issues,
            ..HistoricalRun::default()
        };
        Ok(Some((run, text("Project"))))
    }

    /// A page, or a fault.
    fn page(&mut self, path: &Path) -> io::Result<Option<Page>> {
        let shown = path.display().to_string();
        let content = match self.room.read(self.folder, path, MAX_PAGE) {
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

    /// Files `<kind>_<number>_<rest>.md` of a folder, by number.
    fn numbered(&mut self, kind: &str, most: usize) -> io::Result<Vec<(u32, String, String)>> {
        let place = format!("{kind}s");
        let entries = self.entries(&place, most)?;
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

    /// What a folder of the run holds; more than the bound is a fault.
    fn entries(&mut self, place: &str, most: usize) -> io::Result<Vec<Entry>> {
        let folder = match self.folder.open(Path::new(place)) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.faults.push(Fault::new(place, error.to_string()));
                None
            }
            found => found?,
        };
        let entries = folder.map_or(Ok(Vec::new()), |folder| folder.entries(most + 1))?;
        if entries.len() > most {
            let problem = format!("holds more than {most} entries");
            self.faults.push(Fault::new(place, problem));
            return Ok(Vec::new());
        }
        Ok(entries)
    }

    fn tiers(&mut self) -> io::Result<Vec<Counted>> {
        let mut tiers = Vec::new();
        for (index, rest, file) in self.numbered("tier", MAX_TIERS)? {
            let Some(page) = self.page(Path::new(&file))? else {
                continue;
            };
            let id = page.get("Tier ID").unwrap_or(&rest).to_owned();
            let name = match page.name() {
                "" if rest != id => rest.replace('_', " "),
                name => name.to_owned(),
            };
            let total = page.number("Total").unwrap_or(0).min(MAX_PHASES as u64);
            let tier = HistoricalTier {
                id,
                index: index.into(),
                name,
                state: page.get("State").unwrap_or_default().to_owned(),
                texts: page.fields(),
                ..HistoricalTier::default()
            };
            tiers.push((tier, usize::try_from(total).unwrap_or(0)));
        }
        Ok(tiers)
    }

    fn phases(&mut self) -> io::Result<Vec<HistoricalPhase>> {
        let mut phases = Vec::new();
        for (index, rest, file) in self.numbered("phase", MAX_PHASES)? {
            let Some(page) = self.page(Path::new(&file))? else {
                continue;
            };
            let text = |key: &str| page.get(key).unwrap_or_default().to_owned();
            let count = |key: &str| {
                let told = page.number(key).unwrap_or(0);
                i64::try_from(told).unwrap_or(i64::MAX)
            };
            let time = |key: &str| page.get(key).and_then(moment::parse);
            let cause = page.get("Cause").or(page.get("Failure Reason"));
            phases.push(HistoricalPhase {
                id: page.get("Phase ID").unwrap_or(&rest).to_owned(),
                tier: page.get("Tier ID").map(str::to_owned),
                index: index.into(),
                name: page.name().to_owned(),
                description: page.lead.clone(),
                state: text("State"),
                task_category: text("Task Category"),
                complexity: text("Complexity"),
                builder_mode: text("Builder Mode"),
                attempts: count("Builder Attempts"),
                tokens: count("Tokens Used"),
                started_at: time("Started"),
                completed_at: time("Completed"),
                failure: cause.unwrap_or_default().to_owned(),
                texts: page.fields(),
                ..HistoricalPhase::default()
            });
        }
        Ok(phases)
    }

    /// Gives every phase a tier. Older phase files name none: their issues may, else the tiers' own counts.
    fn place(
        &mut self,
        tiers: Vec<Counted>,
        phases: &mut [HistoricalPhase],
        tiers_of: &BTreeMap<String, String>,
    ) -> Vec<HistoricalTier> {
        let by_count: Vec<&str> = tiers
            .iter()
            .flat_map(|(tier, total)| std::iter::repeat_n(tier.id.as_str(), *total))
            .take(MAX_PHASES + 1)
            .collect();
        let known = |id: &&String| tiers.iter().any(|(tier, _)| tier.id == **id);
        // Counts that do not add up tell nothing.
        let adds_up = by_count.len() == phases.len();
        let mut counted = 0;
        for (n, phase) in phases.iter_mut().enumerate() {
            let told = phase.tier.as_ref().filter(known);
            let told = told.or_else(|| tiers_of.get(&phase.id).filter(known));
            if let Some(tier) = told.cloned() {
                phase.tier = Some(tier);
            } else if adds_up {
                phase.tier = Some(by_count[n].to_owned());
                counted += usize::from(tiers.len() > 1);
            }
        }
        if counted > 0 {
            let note = format!("{counted} phases name no tier: the tiers' counts tell it");
            self.notes.push(note);
        }
        tiers.into_iter().map(|(tier, _)| tier).collect()
    }
}
