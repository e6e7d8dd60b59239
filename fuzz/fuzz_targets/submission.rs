//! Any text given to the readers of submitted documents: a result or an audit that is stored and read back the same, or
//! faults.
#![no_main]

use autopack_domain::submission::{AuditResult, BuilderResult, read_audit, read_result};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match read_result(text, "r", "P") {
        Ok(mut read) => {
            let text = serde_json::to_string(&read).expect("serialises");
            let stored: BuilderResult = serde_json::from_str(&text).expect("reads back");
            // Issues are recorded apart.
            read.issues.clear();
            assert_eq!(stored, read);
        }
        Err(faults) => assert!(!faults.is_empty()),
    }
    match read_audit(text, "r", "P") {
        Ok(mut read) => {
            let text = serde_json::to_string(&read).expect("serialises");
            let stored: AuditResult = serde_json::from_str(&text).expect("reads back");
            read.issues.clear();
            assert_eq!(stored, read);
        }
        Err(faults) => assert!(!faults.is_empty()),
    }
});
