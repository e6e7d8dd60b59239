//! What is said of one column: its kind, whether it is required, its default, an example.
//!
//! Invariant: an example is a value that the column accepts, and that refers to the examples of other tables.

use serde_json::Value;

/// What a column holds.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Any text, empty ones included.
    Text,
    /// A text that is not empty.
    Filled,
    /// A UUID.
    Uuid,
    /// An id that a user chose.
    UserId,
    /// One of a closed list.
    Closed(fn() -> Vec<&'static str>),
    /// JSON with this schema; the flag: an empty text is allowed.
    Json(fn() -> Value, bool),
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// Microseconds since 1970.
    Moment,
    /// Yes or no.
    Flag,
    /// Opaque bytes.
    Bytes,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Kind {
    /// For people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text | Self::Filled => "text",
            Self::Uuid => "uuid",
            Self::UserId => "id",
            Self::Closed(_) => "closed list",
            Self::Json(..) => "json",
            Self::Number(..) => "number",
            Self::Moment => "microseconds",
            Self::Flag => "boolean",
            Self::Bytes => "bytes",
        }
    }

    /// The values of a closed list, or the form of a value; empty: anything of its type.
    pub fn valid(self) -> Vec<String> {
        match self {
            Self::Text | Self::Bytes => Vec::new(),
            Self::Filled => vec!["a text that is not empty".to_owned()],
            Self::Uuid => vec!["a UUID".to_owned()],
            Self::UserId => vec![autopack_domain::ids::ID_RULE.to_owned()],
            Self::Closed(list) => list().into_iter().map(str::to_owned).collect(),
            Self::Json(..) => vec!["JSON that fits the schema of the column".to_owned()],
            Self::Number(low, i64::MAX) => vec![format!("a whole number from {low}")],
            Self::Number(low, high) => vec![format!("a whole number from {low} to {high}")],
            Self::Moment => vec!["microseconds since 1970, from 0".to_owned()],
            Self::Flag => vec!["true".to_owned(), "false".to_owned()],
        }
    }

    /// The schema of a JSON column.
    pub fn json_schema(self) -> Option<Value> {
        match self {
            Self::Json(schema, _) => Some(schema()),
            _ => None,
        }
    }
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it means.
    pub text: &'static str,
    /// A value that it accepts, as text.
    pub example: &'static str,
    /// Whether it may be null.
    pub optional: bool,
    /// The default that the database fills in, as SQL.
    pub default: Option<&'static str>,
    /// Who sets it where a row is made by the product.
    pub source: &'static str,
    /// Table and column that must hold the same value.
    pub parent: Option<(&'static str, &'static str)>,
}

impl Column {
    /// A column that a row must name.
    pub(super) const fn new(
        name: &'static str,
        kind: Kind,
        example: &'static str,
        text: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            text,
            example,
            optional: false,
            default: None,
            source: "",
            parent: None,
        }
    }

    /// It may be null.
    pub(super) const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The database fills it in.
    pub(super) const fn default(mut self, sql: &'static str) -> Self {
        self.default = Some(sql);
        self
    }

    /// Another row must hold the same value.
    pub(super) const fn parent(mut self, table: &'static str, column: &'static str) -> Self {
        self.parent = Some((table, column));
        self
    }

    /// Whether a row must name it.
    pub fn is_required(&self) -> bool {
        !self.optional && self.default.is_none()
    }
}

/// A text.
pub(super) const fn text(name: &'static str, example: &'static str, text: &'static str) -> Column {
    Column::new(name, Kind::Text, example, text)
}

/// A number from 0.
pub(super) const fn count(name: &'static str, example: &'static str, text: &'static str) -> Column {
    Column::new(name, Kind::Number(0, i64::MAX), example, text)
}

/// Yes or no.
pub(super) const fn flag(name: &'static str, example: &'static str, text: &'static str) -> Column {
    Column::new(name, Kind::Flag, example, text)
}

/// A time that may be missing.
pub(super) const fn moment(name: &'static str, text: &'static str) -> Column {
    Column::new(name, Kind::Moment, AT, text).optional()
}

/// A UUID.
pub(super) const fn uuid(name: &'static str, example: &'static str, text: &'static str) -> Column {
    Column::new(name, Kind::Uuid, example, text)
}

/// The run that a row belongs to.
pub(super) const fn run_uid() -> Column {
    uuid("run_uid", RUN, "The run.").parent("run", "uid")
}

/// Who sets the columns of a table.
pub(super) fn set_by(source: &'static str, mut columns: Vec<Column>) -> Vec<Column> {
    for column in &mut columns {
        if column.source.is_empty() {
            column.source = source;
        }
    }
    columns
}

/// The example's run.
pub(super) const RUN: &str = "0197a4c2-0000-7000-8000-000000000001";
/// The example's attempt.
pub(super) const ATTEMPT: &str = "0197a4c2-0000-7000-8000-000000000002";
/// The example's job.
pub(super) const JOB: &str = "0197a4c2-0000-7000-8000-000000000003";
/// The example's worker.
pub(super) const WORKER: &str = "0197a4c2-0000-7000-8000-000000000004";
/// The example's time.
pub(super) const AT: &str = "1767225600000000";
/// The example's commit.
pub(super) const SHA: &str = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12";
