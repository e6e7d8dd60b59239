//! Any text given to the plan reader: a plan that is stored and read back the same, or faults.
#![no_main]

use autopack_domain::plan::{
    Plan, ReadOptions, canonical_json, explain, parse_document, read_plan,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match read_plan(text, &ReadOptions::default()) {
        Ok(read) => {
            let stored: Plan =
                serde_json::from_str(&canonical_json(&read.plan)).expect("reads back");
            assert_eq!(stored, read.plan);
            let tree = parse_document(&explain(&read), "").expect("the explanation is YAML");
            assert_eq!(tree, serde_json::to_value(&read.plan).expect("serialises"));
        }
        Err(faults) => assert!(!faults.is_empty()),
    }
});
