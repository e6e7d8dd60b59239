//! A walk over everything that is stored: stretches of runs that follow each other, then what belongs to no run.
//!
//! Invariant: a call looks at one part at least and begins none after [`SPAN`]; the token that it leaves goes on where it
//! stopped, so that all pages together are one look at everything.

use std::time::Duration;

use autopack_domain::{Reason, Refusal};
use autopack_store::{
    audit::{Audit, Part, Scope, Stretch, stretch},
    entity::repair,
};

use super::{
    Core,
    issues::{parse_token, token_of},
    store_refusal,
};

/// A call begins no part after this time.
const SPAN: Duration = Duration::from_secs(5);
/// Runs of a part.
const RUNS: usize = 200;
/// Findings of one part that are told.
const TOLD: usize = 10_000;

/// What a walk does besides looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mending {
    /// Nothing.
    No,
    /// It tells what it would mend.
    Told,
    /// It mends what is safe.
    Done,
}

/// What a call has found.
#[derive(Debug, Default)]
pub struct Page {
    /// Findings; `more`: there is a next page, or a part had more than are told.
    pub audit: Audit,
    /// What was mended, or would be.
    pub repairs: Vec<repair::Model>,
    /// Empty: this was everything.
    pub next: String,
}

/// Where a walk stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// At the runs after this uid.
    Runs(String),
    /// At what belongs to no run.
    Rest,
    /// At the only run.
    One(String),
}

/// Where a walk goes on: findings of the part that were told are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    place: Place,
    told: usize,
}

impl Mark {
    fn start(run: Option<String>) -> Self {
        let place = run.map_or_else(|| Place::Runs(String::new()), Place::One);
        Self { place, told: 0 }
    }

    /// Tokens of a walk over one run go on with this run alone, the others with everything alone.
    fn read(token: &str, run: Option<String>) -> Result<Self, Refusal> {
        let Some(([kind, told], key)) = parse_token::<2>(token)? else {
            return Ok(Self::start(run));
        };
        let told = usize::try_from(told).ok().filter(|told| *told < TOLD);
        let place = match (kind, run) {
            (0, None) => Some(Place::Runs(key)),
            (1, None) if key.is_empty() => Some(Place::Rest),
            (2, Some(run)) if key == run => Some(Place::One(run)),
            _ => None,
        };
        let (Some(place), Some(told)) = (place, told) else {
            let text = "the page token is not one that this walk gave out";
            return Err(Refusal::new(Reason::PageTokenInvalid, text).with("pageToken", token));
        };
        Ok(Self { place, told })
    }

    fn token(&self) -> String {
        let told = i64::try_from(self.told).unwrap_or(i64::MAX);
        match &self.place {
            Place::Runs(after) => token_of([0, told], after),
            Place::Rest => token_of([1, told], ""),
            Place::One(run) => token_of([2, told], run),
        }
    }
}

impl Core {
    /// Goes on from a token until the time or the limit of findings is used up.
    pub(super) async fn walk(
        &self,
        run: Option<String>,
        limit: usize,
        token: &str,
        mending: Mending,
    ) -> Result<Page, Refusal> {
        let mut mark = Mark::read(token, run)?;
        self.take_back().await?;
        let began = self.ports.clock.monotonic();
        let mut page = Page::default();
        loop {
            let (part, following) = self.part(&mark.place).await?;
            // What was told of a part that is looked at again was mended then.
            if mark.told == 0 && mending != Mending::No {
                let mended = self.mend_part(&part, mending).await?;
                page.repairs.extend(mended);
            }
            let room = limit - page.audit.findings.len();
            let scope = Scope {
                part,
                limit: mark.told.saturating_add(room).min(TOLD),
            };
            let found = self.examine(&scope).await?;
            let (told, cut) = (found.findings.len(), found.more);
            // A part of which nothing could be told yet is looked at once more.
            if mark.told == 0 && (told > 0 || !cut) {
                page.audit.rows += found.rows;
            }
            page.audit.append(found, mark.told);
            let next = if cut && told < TOLD {
                let place = mark.place;
                Some(Mark { place, told })
            } else {
                page.audit.more |= cut;
                following.map(|place| Mark { place, told: 0 })
            };
            let Some(next) = next else {
                return Ok(page);
            };
            // What follows a full page may be clean; it is not looked at where it would be mended.
            let full = page.audit.findings.len() >= limit && (cut || mending != Mending::No);
            let spent = self.ports.clock.monotonic().saturating_sub(began) >= SPAN;
            if full || spent {
                page.audit.more = true;
                page.next = next.token();
                return Ok(page);
            }
            mark = next;
        }
    }

    /// The part at a place, and the place of the next one.
    async fn part(&self, place: &Place) -> Result<(Part, Option<Place>), Refusal> {
        let after = match place {
            Place::Rest => return Ok((Part::Rest, None)),
            Place::One(run) => return Ok((Part::Run(run.clone()), None)),
            Place::Runs(after) => after,
        };
        let upto = stretch::end(&self.database.read, after, RUNS).await;
        let upto = upto.map_err(store_refusal)?;
        let following = upto.clone().map_or(Place::Rest, Place::Runs);
        let after = after.clone();
        Ok((Part::Runs { after, upto }, Some(following)))
    }

    async fn mend_part(
        &self,
        part: &Part,
        mending: Mending,
    ) -> Result<Vec<repair::Model>, Refusal> {
        let Part::Runs { after, upto } = part.clone() else {
            return Ok(Vec::new());
        };
        let told = mending == Mending::Told;
        let mended = self.mend(&Stretch::Runs { after, upto }, told).await?;
        if !told && !mended.is_empty() {
            self.take_back().await?;
        }
        Ok(mended)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    #[test]
    fn a_token_goes_on_where_it_was_given_and_nowhere_else() {
        let run = || Some("one".to_owned());
        for (place, run) in [
            (Place::Runs("0198 ~'".to_owned()), None),
            (Place::Rest, None),
            (Place::One("one".to_owned()), run()),
        ] {
            let mark = Mark { place, told: 7 };
            assert_eq!(Mark::read(&mark.token(), run).unwrap(), mark);
        }
        assert_eq!(Mark::read("", None).unwrap(), Mark::start(None));
        assert_eq!(Mark::read("", run()).unwrap(), Mark::start(run()));
        let of_one = token_of([2, 0], "one");
        let other = Some("other".to_owned());
        for (token, run) in [
            ("everything", None),
            (of_one.as_str(), None),
            (of_one.as_str(), other),
            (&token_of([0, 0], ""), run()),
            (&token_of([1, 0], "x"), None),
            (&token_of([3, 0], ""), None),
            (&token_of([0, -1], ""), None),
            (&token_of([0, 10_000], ""), None),
            (&token_of([0, i64::MAX], ""), None),
        ] {
            let refusal = Mark::read(token, run).unwrap_err();
            assert_eq!(refusal.reason, Reason::PageTokenInvalid, "{token}");
        }
    }
}
