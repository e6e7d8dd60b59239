//! Lanes: queues of jobs for workers that have what they need.
//!
//! Invariant: a lane's name is one legal token of a subject, however the label was written.

/// The lane of phases that name none.
pub const DEFAULT: &str = "default";

/// The label that names a phase's lane.
pub const LABEL: &str = "lane";

/// Longest slug; consumer names hold one and become folders on the server.
const MAX_TOKEN: usize = 32;

/// A slug that is one legal subject token: lower case, digits and dashes, never empty.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if slug.len() >= MAX_TOKEN {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "none".to_owned()
    } else {
        slug.to_owned()
    }
}

/// The lane that a label or a user names; none named is the default lane.
pub fn name(text: &str) -> String {
    if text.is_empty() {
        DEFAULT.to_owned()
    } else {
        slug(text)
    }
}
