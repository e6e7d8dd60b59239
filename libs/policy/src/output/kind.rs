//! What sort of file a deliverable is, and how many tokens it takes.
//!
//! Invariant: sorts are tried in one order, so each file has exactly one; words are matched as words (`news` is not
//! `new`, `address` is not `add`).

/// The sort of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Text for readers.
    Doc,
    /// Configuration or a migration.
    Config,
    /// A test.
    Test,
    /// What runs in a browser.
    Frontend,
    /// Anything else.
    Backend,
}

impl Kind {
    /// Tokens for a file of this sort.
    pub const fn weight(self, new: bool) -> u64 {
        match (self, new) {
            (Self::Doc, true) => 500,
            (Self::Doc, false) => 400,
            (Self::Config, true) => 1000,
            (Self::Config, false) => 500,
            (Self::Test, true) => 1400,
            (Self::Test, false) => 600,
            (Self::Frontend, true) => 2800,
            (Self::Frontend, false) => 1100,
            (Self::Backend, true) => 2000,
            (Self::Backend, false) => 700,
        }
    }

    /// The sort of the file at this path, in a phase of this category.
    pub fn of(path: &str, category: &str) -> Self {
        let path = path.to_ascii_lowercase();
        let ends = |list: &[&str]| list.iter().any(|end| path.ends_with(end));
        let name = path.rsplit('/').next().unwrap_or_default();
        if under(&path, "docs") || ends(&[".md"]) {
            Self::Doc
        } else if ends(&[".yml", ".yaml", ".json", ".toml", ".txt", ".ini"])
            || path.contains("alembic/versions")
            || path.contains("migration")
        {
            Self::Config
        } else if under(&path, "tests")
            || name.starts_with("test_")
            || [".spec.ts", ".spec.tsx", ".test.ts", ".test.tsx", "_test.py"]
                .iter()
                .any(|end| name.ends_with(end))
        {
            Self::Test
        } else if ends(&[".tsx", ".jsx", ".vue", ".svelte"]) || category == "frontend" {
            Self::Frontend
        } else {
            Self::Backend
        }
    }
}

/// Whether one of the folders of a path has this name.
fn under(path: &str, folder: &str) -> bool {
    path.split('/').rev().skip(1).any(|part| part == folder)
}

/// What is known of a file that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Lines.
    pub lines: u64,
    /// Lines that import something.
    pub imports: u64,
    /// Spaces before the line that stands furthest to the right.
    pub indent: u64,
}

impl Shape {
    /// Of a text.
    pub fn of(text: &str) -> Self {
        let mut shape = Self::default();
        for line in text.lines() {
            shape.lines += 1;
            let start = line.trim_start();
            if ["import ", "from ", "use ", "#include", "require("]
                .iter()
                .any(|word| start.starts_with(word))
            {
                shape.imports += 1;
            }
            if !start.is_empty() {
                let spaces = line[..line.len() - start.len()]
                    .chars()
                    .map(|c| if c == '\t' { 4 } else { 1 })
                    .sum();
                shape.indent = shape.indent.max(spaces);
            }
        }
        shape
    }

    /// How much more or less than usual a change of it takes: 0.5 to 2.
    pub fn factor(self) -> f64 {
        let step = |value: u64, steps: &[(u64, f64)], more: f64| {
            steps
                .iter()
                .find(|(below, _)| value < *below)
                .map_or(more, |(_, factor)| *factor)
        };
        let lines = step(self.lines, &[(50, 0.7), (200, 1.0), (500, 1.3)], 1.5);
        let imports = step(self.imports, &[(5, 0.9), (15, 1.0)], 1.2);
        let indent = step(self.indent, &[(8, 0.9), (16, 1.0)], 1.2);
        (lines * imports * indent).clamp(0.5, 2.0)
    }
}

/// A file that a phase owes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deliverable {
    /// As the plan words it.
    pub text: String,
    /// What is known of the file, if it exists.
    pub shape: Option<Shape>,
}

impl Deliverable {
    /// A file that does not exist yet.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            shape: None,
        }
    }

    /// The first word with an extension; else the whole text.
    pub fn path(&self) -> &str {
        self.text
            .split_whitespace()
            .map(|word| word.trim_matches(|c: char| "`'\"(),:;".contains(c)))
            .find(|word| has_extension(word))
            .unwrap_or(self.text.trim())
    }

    /// Whether a word has an extension, so that the kind is known rather than guessed.
    pub fn names_a_file(&self) -> bool {
        has_extension(self.path())
    }

    /// Whether the text says what is done with the file.
    pub fn names_an_action(&self) -> bool {
        const ACTIONS: &[&str] = &[
            "create",
            "new",
            "add",
            "modify",
            "update",
            "change",
            "extend",
            "refactor",
            "fix",
            "remove",
            "modifications",
            "write",
            "implement",
        ];
        self.words().any(|word| ACTIONS.contains(&word.as_str()))
    }

    /// Whether it is to be made: the text says so, or nothing is there.
    pub fn is_new(&self) -> bool {
        let modified = self
            .words()
            .any(|word| ["modify", "modifications", "update", "change"].contains(&word.as_str()));
        self.words()
            .any(|word| ["create", "new", "add"].contains(&word.as_str()))
            || (self.shape.is_none() && !modified)
    }

    fn words(&self) -> impl Iterator<Item = String> {
        let path = self.path();
        self.text
            .split_whitespace()
            .filter(move |word| !word.contains(path))
            .flat_map(|word| word.split(|c: char| !c.is_alphanumeric()))
            .map(str::to_ascii_lowercase)
    }

    /// Its tokens.
    pub fn weight(&self, category: &str) -> f64 {
        let weight = Kind::of(self.path(), category).weight(self.is_new()) as f64;
        weight * self.shape.map_or(1.0, Shape::factor)
    }
}

fn has_extension(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').is_some_and(|(stem, end)| {
        !stem.is_empty()
            && !end.is_empty()
            && end.len() <= 8
            && end.chars().all(char::is_alphanumeric)
    })
}
