//! Everything that can be switched on or off by a variable, and the one way to read a flag.
//!
//! Invariant: one spelling list for all flags; a value outside it is a fault, never `off`.

use autopack_domain::fault::{Fault, Faults};

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Switch {
    /// Usage and events are turned into metrics and estimates.
    Telemetry,
    /// The consolidated metrics of a run may be read.
    ConsolidatedMetrics,
    /// The per-phase metrics may be read.
    Phase6Metrics,
    /// Known environment failures are mended before an attempt is charged.
    FailureHardening,
    /// The goal anchor is given to builders.
    IntentionContext,
    /// Plans in older forms are normalised.
    PlanNormalization,
    /// A failed phase's workspace is rolled back before the next attempt.
    Rollback,
    /// Changes of high risk wait for a person's word.
    RiskApprovals,
    /// What a change adds is not looked at for secrets.
    NoSecretScan,
}

impl Switch {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Telemetry,
        Self::ConsolidatedMetrics,
        Self::Phase6Metrics,
        Self::FailureHardening,
        Self::IntentionContext,
        Self::PlanNormalization,
        Self::Rollback,
        Self::RiskApprovals,
        Self::NoSecretScan,
    ];

    /// The variable that sets it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Telemetry => "TELEMETRY_DB_ENABLED",
            Self::ConsolidatedMetrics => "AUTOPACK_ENABLE_CONSOLIDATED_METRICS",
            Self::Phase6Metrics => "AUTOPACK_ENABLE_PHASE6_METRICS",
            Self::FailureHardening => "AUTOPACK_ENABLE_FAILURE_HARDENING",
            Self::IntentionContext => "AUTOPACK_ENABLE_INTENTION_CONTEXT",
            Self::PlanNormalization => "AUTOPACK_ENABLE_PLAN_NORMALIZATION",
            Self::Rollback => "AUTOPACK_ROLLBACK_ENABLED",
            Self::RiskApprovals => "AUTOPACK_ENABLE_RISK_APPROVALS",
            Self::NoSecretScan => "AUTOPACK_DISABLE_SECRET_SCAN",
        }
    }
}

/// The position of every switch; all off unless set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    on: [bool; Switch::ALL.len()],
}

impl Switches {
    /// Reads all of them from the environment, reporting every value that is not a flag.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Fault>> {
        let mut switches = Self::default();
        let mut faults = Faults::default();
        for switch in Switch::ALL {
            match lookup(switch.variable()).map(|value| flag(switch.variable(), &value)) {
                None => {}
                Some(Ok(on)) => switches.set(switch, on),
                Some(Err(fault)) => faults.push(fault),
            }
        }
        faults.into_result(switches)
    }

    /// With what `VARIABLE=FLAG` pairs say of single ones; every fault at once.
    pub fn overridden(mut self, pairs: &[String]) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair.as_str(), ""));
            let known = Switch::ALL.into_iter().find(|s| s.variable() == name);
            match (known, flag(name, value)) {
                (None, _) => {
                    let fault = Fault::new("--switch", format!("`{name}` is no switch"));
                    faults.push(fault.allowed(Switch::ALL.map(Switch::variable)));
                }
                (Some(_), _) if value.is_empty() => {
                    let fault = Fault::new("--switch", format!("`{pair}` is not VARIABLE=FLAG"));
                    faults.push(fault.example(format!("{name}=on")));
                }
                (Some(switch), Ok(on)) => self.set(switch, on),
                (Some(_), Err(fault)) => faults.push(fault),
            }
        }
        faults.into_result(self)
    }

    /// Whether it is on.
    pub fn is_on(&self, switch: Switch) -> bool {
        self.on[switch as usize]
    }

    /// Variables of those that are on.
    pub fn on(&self) -> impl Iterator<Item = &'static str> + '_ {
        let on = Switch::ALL.into_iter().filter(|switch| self.is_on(*switch));
        on.map(Switch::variable)
    }

    /// Sets one.
    pub fn set(&mut self, switch: Switch, on: bool) {
        self.on[switch as usize] = on;
    }
}

/// Reads a flag: `1 true yes on` or `0 false no off`, in any case; empty is off.
pub fn flag(name: &str, value: &str) -> Result<bool, Fault> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Fault::new(name, format!("`{value}` is not a flag"))
            .allowed(["1", "true", "yes", "on", "0", "false", "no", "off"])
            .example("1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_switch_reads_its_own_variable_and_nothing_else() {
        for switch in Switch::ALL {
            let name = switch.variable();
            let read = Switches::read(&|n| (n == name).then(|| "Yes".to_owned())).unwrap();
            for other in Switch::ALL {
                assert_eq!(read.is_on(other), other == switch, "{other:?}");
            }
        }
    }

    #[test]
    fn single_ones_are_overridden_and_every_fault_is_told() {
        let pairs = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut all = Switches::default();
        all.set(Switch::Telemetry, true);
        let told = pairs(&["TELEMETRY_DB_ENABLED=off", "AUTOPACK_ROLLBACK_ENABLED=Yes"]);
        let changed = all.overridden(&told).unwrap();
        assert_eq!(
            changed.on().collect::<Vec<_>>(),
            ["AUTOPACK_ROLLBACK_ENABLED"]
        );
        assert!(all.is_on(Switch::Telemetry), "the process's own stay");
        let bad = pairs(&["X=1", "TELEMETRY_DB_ENABLED", "AUTOPACK_ROLLBACK_ENABLED=2"]);
        let faults = all.overridden(&bad).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(
            faults[0]
                .allowed
                .contains(&"TELEMETRY_DB_ENABLED".to_owned())
        );
    }

    #[test]
    fn every_bad_flag_is_reported() {
        let faults = Switches::read(&|_| Some("maybe".into())).unwrap_err();
        assert_eq!(faults.len(), Switch::ALL.len());
        assert!(faults[0].to_string().contains("`maybe` is not a flag"));
    }

    #[test]
    fn spellings() {
        for on in ["1", "TRUE", "yes", "On", " on "] {
            assert_eq!(flag("X", on), Ok(true));
        }
        for off in ["0", "false", "NO", "off", ""] {
            assert_eq!(flag("X", off), Ok(false));
        }
        assert!(flag("X", "2").is_err());
    }
}
