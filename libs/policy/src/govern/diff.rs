//! A unified diff, read for what it adds and removes.
//!
//! Invariant: any text is read; what is no diff gives no files. Paths come from git's own output, so only what git writes
//! is understood.

/// What one file gains and loses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDiff {
    /// The path after the change, or before it for a deleted file.
    pub path: String,
    /// Lines that are new, with their number in the new content.
    pub added: Vec<(u32, String)>,
    /// Lines that are gone.
    pub removed: Vec<String>,
    /// Whether the whole file is gone.
    pub is_deleted: bool,
    /// Whether the file is new.
    pub is_new: bool,
}

/// The files of a diff, in its order.
pub fn read(text: &str) -> Vec<FileDiff> {
    let mut files: Vec<FileDiff> = Vec::new();
    // Lines that the hunk still has, before and after the change.
    let (mut old, mut new, mut line) = (0_u32, 0_u32, 0_u32);
    for text in text.split('\n') {
        if old == 0 && new == 0 {
            if text.starts_with("diff --git ") {
                files.push(FileDiff::default());
                continue;
            }
            let Some(file) = files.last_mut() else {
                continue;
            };
            if let Some(hunk) = text.strip_prefix("@@ ") {
                (old, new, line) = hunk_header(hunk);
            } else if let Some(path) = text.strip_prefix("--- ") {
                file.is_new = path == "/dev/null";
                set(file, path);
            } else if let Some(path) = text.strip_prefix("+++ ") {
                file.is_deleted = path == "/dev/null";
                set(file, path);
            }
            continue;
        }
        let Some(file) = files.last_mut() else {
            continue;
        };
        match text.as_bytes().first() {
            Some(b'+') => {
                file.added.push((line, text[1..].to_owned()));
                line += 1;
                new = new.saturating_sub(1);
            }
            Some(b'-') => {
                file.removed.push(text[1..].to_owned());
                old = old.saturating_sub(1);
            }
            // `\ No newline at end of file`
            Some(b'\\') => {}
            _ => {
                line += 1;
                old = old.saturating_sub(1);
                new = new.saturating_sub(1);
            }
        }
    }
    files
}

/// Lines before and after, and the first line after: `-1,3 +1,4 @@`.
fn hunk_header(text: &str) -> (u32, u32, u32) {
    let mut words = text.split(' ');
    let range = |word: Option<&str>| {
        let word = word.unwrap_or_default().trim_start_matches(['-', '+']);
        let (start, count) = word.split_once(',').unwrap_or((word, "1"));
        (start.parse().unwrap_or(0), count.parse().unwrap_or(0))
    };
    let ((_, old), (start, new)) = (range(words.next()), range(words.next()));
    (old, new, start)
}

/// `a/PATH`, `b/PATH`, perhaps in quotes and with a tab behind.
fn set(file: &mut FileDiff, path: &str) {
    if path == "/dev/null" {
        return;
    }
    let path = path.trim_end_matches('\t').trim_matches('"');
    let bare = path.strip_prefix("a/").or_else(|| path.strip_prefix("b/"));
    bare.unwrap_or(path).clone_into(&mut file.path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_the_hunks_and_not_by_their_looks() {
        let text = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -2,3 +2,3 @@ fn x\n one\n--- two\n+++ three\n four\n\
                    diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n\\ No newline at end of file\n\
                    diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+n\n";
        let files = read(text);
        assert_eq!(files.len(), 3);
        assert_eq!(
            (files[0].path.as_str(), files[0].added.clone()),
            ("x", vec![(3, "++ three".to_owned())])
        );
        assert_eq!(files[0].removed, ["-- two"]);
        assert!(files[1].is_deleted && files[1].path == "gone" && files[1].removed.len() == 2);
        assert!(files[2].is_new && files[2].added == [(1, "n".to_owned())]);
        assert!(read("no diff\n+at all").is_empty());
    }
}
