//! Findings of the self-check.
//!
//! Invariant: a code that a newer peer knows and we do not still travels as text; only reading it back needs ours.

use autopack_domain::{Finding, FindingCode, finding::Place};

use crate::registry;

impl From<&Finding> for registry::Finding {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.code.code().to_owned(),
            severity: finding.code.severity_name().to_owned(),
            table: finding.place.table.clone(),
            row: finding.place.row.clone(),
            column: finding.place.column.clone(),
            run_id: finding.run.clone(),
            problem: finding.problem.clone(),
            matters: finding.code.matters().to_owned(),
            value: finding.value.clone(),
            valid: finding.valid.clone(),
            fix: finding.fix.clone(),
            safe: finding.safe.clone(),
        }
    }
}

impl TryFrom<registry::Finding> for Finding {
    type Error = String;

    /// The error is the code, if it is not of our catalogue.
    fn try_from(message: registry::Finding) -> Result<Self, String> {
        let Some(code) = FindingCode::parse(&message.code) else {
            return Err(message.code);
        };
        Ok(Self {
            code,
            place: Place::new(message.table, message.row, message.column),
            run: message.run_id,
            problem: message.problem,
            value: message.value,
            valid: message.valid,
            fix: message.fix,
            safe: message.safe,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_comes_back_as_it_went_out() {
        for code in FindingCode::ALL {
            let mut finding = Finding::new(*code, Place::new("run", "r", "state"), "odd")
                .value("READY")
                .valid(["QUEUED"])
                .run("demo");
            finding.safe = Some("RUN_CREATED".to_owned());
            let sent = registry::Finding::from(&finding);
            assert_eq!(Finding::try_from(sent), Ok(finding));
        }
        let newer = registry::Finding {
            code: "NEWER".to_owned(),
            ..Default::default()
        };
        assert_eq!(Finding::try_from(newer), Err("NEWER".to_owned()));
    }
}
