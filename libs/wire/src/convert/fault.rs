//! Faults of input.

use autopack_domain::Fault;

use crate::types;

impl From<&Fault> for types::Fault {
    fn from(fault: &Fault) -> Self {
        Self {
            path: fault.path.clone(),
            problem: fault.problem.clone(),
            allowed: fault.allowed.clone(),
            example: fault.example.clone(),
        }
    }
}

impl From<types::Fault> for Fault {
    fn from(fault: types::Fault) -> Self {
        Self {
            path: fault.path,
            problem: fault.problem,
            allowed: fault.allowed,
            example: fault.example,
        }
    }
}
