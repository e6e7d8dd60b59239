//! A database with very many runs: statements that copy one stored run, in every state and over several projects.
//!
//! Invariant: every copy is whole (tiers, phases, attempts, events, usage, issues, its project's backlog), counts what it
//! has (phases, issues, tokens), and waits for nobody: a registry that finds them has nothing to do for them. Only the caller executes SQL.

/// Whose SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Many {
    /// Copies of the run; each has as many phases as the run.
    pub runs: u32,
    /// Projects that they are spread over, `many-0` and so on.
    pub projects: u32,
    /// Entries of each project's backlog.
    pub backlog: u32,
}

/// Ends by hundredths; what is left of the hundred has not ended, and is paused.
const ENDS: [(u32, &str, &str); 6] = [
    (70, "DONE_SUCCESS", ""),
    (80, "DONE_FAILED_REQUIRES_HUMAN_REVIEW", "GATE_FAILED"),
    (86, "DONE_FAILED_BUDGET_EXHAUSTED", "BUDGET_TOKENS"),
    (90, "DONE_FAILED_POLICY_VIOLATION", "OUT_OF_SCOPE"),
    (93, "DONE_FAILED_ENVIRONMENT", "BASE_MISSING"),
    (99, "DONE_CANCELLED", "CANCELLED"),
];
/// States of those that have not ended, in turn.
const OPEN: [&str; 8] = [
    "QUEUED",
    "PLAN_BOOTSTRAP",
    "RUN_CREATED",
    "PHASE_QUEUEING",
    "PHASE_EXECUTION",
    "GATE",
    "CI_RUNNING",
    "SNAPSHOT_CREATED",
];
/// What each attempt used.
const TOKENS: u32 = 1000;
/// Runs whose first phase has an issue.
const ISSUES: &str = "n.i % 5 = 0";
/// Microseconds between two runs, and when the first was created.
const TIMES: (u64, u64) = (60_000_000, 1_600_000_000_000_000);

/// What of a column is not copied.
type Changes = Vec<(&'static str, String)>;

impl Many {
    /// The statements that copy the run of this id, in order. `columns` tells the columns of a table; the database is
    /// otherwise empty, its last event is the run's.
    pub fn statements(
        &self,
        dialect: Dialect,
        template: &str,
        columns: &dyn Fn(&str) -> Vec<String>,
    ) -> Vec<String> {
        let of = Copy {
            many: self,
            dialect,
            template: format!("(SELECT uid FROM run WHERE id = '{template}')"),
        };
        let copy = |table: &str, changes: &Changes| of.copy(table, &columns(table), changes);
        vec![
            of.projects(),
            copy("run", &of.run()),
            copy("run_document", &of.own("run_uid")),
            copy("tier", &of.tier()),
            copy("phase", &of.phase()),
            of.jobs(),
            of.attempts(),
            of.usage(),
            of.events(),
            of.issues(),
            of.backlog(),
            "UPDATE relay_cursor SET sequence = (SELECT MAX(sequence) FROM event)".to_owned(),
        ]
    }
}

/// One job of copying.
struct Copy<'m> {
    many: &'m Many,
    dialect: Dialect,
    template: String,
}

impl Copy<'_> {
    /// The numbers of the runs, or any others.
    fn numbers(count: u32) -> String {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {}) ",
            count.saturating_sub(1)
        )
    }

    /// A UUID of version 7 with this group and a number.
    fn uid(&self, group: u32, number: &str) -> String {
        let hex = match self.dialect {
            Dialect::Sqlite => format!("printf('%012x', {number})"),
            Dialect::Postgres => format!("lpad(to_hex(({number})::bigint), 12, '0')"),
        };
        format!("'01980000-0000-7000-8{group:03}-' || {hex}")
    }

    fn run_uid(&self) -> String {
        self.uid(0, "n.i")
    }

    fn created() -> String {
        format!("{} + n.i * {}", TIMES.1, TIMES.0)
    }

    /// Of each run by how it ended.
    fn by_end(of: impl Fn(&str, &str) -> String, open: &str) -> String {
        let ends = ENDS.iter().map(|(below, state, cause)| {
            format!("WHEN n.i % 100 < {below} THEN {}", of(state, cause))
        });
        format!(
            "CASE {} ELSE {open} END",
            ends.collect::<Vec<_>>().join(" ")
        )
    }

    fn copy(&self, table: &str, columns: &[String], changes: &Changes) -> String {
        let of_run = if table == "run" { "uid" } else { "run_uid" };
        let chosen = columns.iter().map(|column| {
            let changed = changes.iter().find(|(name, _)| name == column);
            changed.map_or_else(|| format!("t.{column}"), |(_, sql)| sql.clone())
        });
        format!(
            "INSERT INTO {table} ({}) {}SELECT {} FROM n CROSS JOIN {table} t WHERE t.{of_run} = {}",
            columns.join(", "),
            Self::numbers(self.many.runs),
            chosen.collect::<Vec<_>>().join(", "),
            self.template,
        )
    }

    fn projects(&self) -> String {
        format!(
            "INSERT INTO project (name, created_at) {}SELECT 'many-' || n.i, 0 FROM n",
            Self::numbers(self.many.projects)
        )
    }

    fn own(&self, key: &'static str) -> Changes {
        vec![(key, self.run_uid())]
    }

    fn run(&self) -> Changes {
        let turn = OPEN.iter().enumerate();
        let turn: Vec<String> = turn
            .map(|(n, state)| format!("WHEN n.i / 100 % {} = {n} THEN '{state}'", OPEN.len()))
            .collect();
        let open = format!("(CASE {} END)", turn.join(" "));
        let cause = |_: &str, cause: &str| match cause {
            "" => "NULL".to_owned(),
            cause => format!("'{cause}'"),
        };
        let mut changes = self.own("uid");
        changes.extend([
            ("id", "'many-' || n.i".to_owned()),
            ("id_fold", "'many-' || n.i".to_owned()),
            (
                "project",
                format!("'many-' || ((n.i + n.i / 100) % {})", self.many.projects),
            ),
            (
                "state",
                Self::by_end(|state, _| format!("'{state}'"), &open),
            ),
            ("cause", Self::by_end(cause, "NULL")),
            ("held", "FALSE".to_owned()),
            ("frozen", "TRUE".to_owned()),
            ("started", "TRUE".to_owned()),
            ("paused", "n.i % 100 >= 99".to_owned()),
            ("branch", "'autonomous/many-' || n.i".to_owned()),
            ("last_event", self.phases()),
            ("created_at", Self::created()),
            ("started_at", Self::created()),
            (
                "completed_at",
                Self::by_end(|_, _| format!("{} + 50000000", Self::created()), "NULL"),
            ),
        ]);
        changes.extend(self.counts(""));
        changes.extend(Self::tokens(&self.phases()));
        changes.extend(Self::issue_counts("TRUE"));
        changes
    }

    /// The account above so many phases: each of their attempts used the same, and none is open.
    fn tokens(phases: &str) -> Changes {
        let worked = |_: &str, _: &str| format!("{phases} * {TOKENS}");
        vec![
            ("tokens_settled", Self::by_end(worked, "0")),
            ("tokens_reserved", "0".to_owned()),
        ]
    }

    /// The counters of what holds the first phase, if this is it.
    fn issue_counts(here: &str) -> Changes {
        vec![
            (
                "minor_issues",
                format!("CASE WHEN {ISSUES} AND {here} THEN 1 ELSE 0 END"),
            ),
            ("major_issues", "0".to_owned()),
            ("resolved_issues", "0".to_owned()),
        ]
    }

    /// How many phases the run has.
    fn phases(&self) -> String {
        format!(
            "(SELECT COUNT(*) FROM phase WHERE run_uid = {})",
            self.template
        )
    }

    /// The state of a phase with this index: each fifth failed, and what waited for it was skipped.
    fn phase_state(idx: &str) -> String {
        let other = format!(
            "(CASE {idx} % 5 WHEN 3 THEN 'FAILED' WHEN 4 THEN 'SKIPPED' ELSE 'COMPLETE' END)"
        );
        let of = |state: &str, _: &str| match state {
            "DONE_SUCCESS" => "'COMPLETE'".to_owned(),
            _ => other.clone(),
        };
        Self::by_end(of, "'QUEUED'")
    }

    fn counts(&self, tier: &str) -> Changes {
        let number = |state: &'static str| {
            let state_of = Self::phase_state("c.idx");
            format!(
                "(SELECT COUNT(*) FROM phase c WHERE c.run_uid = {}{tier} AND {state_of} = '{state}')",
                self.template
            )
        };
        vec![
            ("count_queued", number("QUEUED")),
            ("count_complete", number("COMPLETE")),
            ("count_failed", number("FAILED")),
            ("count_skipped", number("SKIPPED")),
            ("count_executing", "0".to_owned()),
            ("count_gate", "0".to_owned()),
            ("count_ci_running", "0".to_owned()),
        ]
    }

    fn tier(&self) -> Changes {
        let mut changes = self.own("run_uid");
        let of = |state: &str, _: &str| match state {
            "DONE_SUCCESS" => "'COMPLETE'".to_owned(),
            _ => "'FAILED'".to_owned(),
        };
        changes.push(("state", Self::by_end(of, "'PENDING'")));
        changes.extend(self.counts(" AND c.tier = t.idx"));
        let of_tier = format!(
            "FROM phase c WHERE c.run_uid = {} AND c.tier = t.idx",
            self.template
        );
        changes.extend(Self::tokens(&format!("(SELECT COUNT(*) {of_tier})")));
        let first = format!("EXISTS (SELECT 1 {of_tier} AND c.idx = 0)");
        changes.extend(Self::issue_counts(&first));
        changes
    }

    fn phase(&self) -> Changes {
        let mut changes = self.own("run_uid");
        let state = Self::phase_state("t.idx");
        let cause = |_: &str, cause: &str| match cause {
            "" => "NULL".to_owned(),
            cause => format!("(CASE t.idx % 5 WHEN 3 THEN '{cause}' END)"),
        };
        changes.extend([
            ("state", state),
            ("cause", Self::by_end(cause, "NULL")),
            ("current_attempt", "NULL".to_owned()),
            ("attempts_made", Self::by_end(|_, _| "1".to_owned(), "0")),
            ("started_at", Self::by_end(|_, _| Self::created(), "NULL")),
            ("completed_at", Self::by_end(|_, _| Self::created(), "NULL")),
            (
                "issue_state",
                format!(
                    "CASE WHEN {ISSUES} AND t.idx = 0 THEN 'has_minor_issues' ELSE 'no_issues' END"
                ),
            ),
        ]);
        changes.extend(Self::tokens("1"));
        changes.extend(Self::issue_counts("t.idx = 0"));
        changes
    }

    /// The bootstrap of each.
    fn jobs(&self) -> String {
        format!(
            "INSERT INTO job (uid, run_uid, kind, state, fence, failures) {}SELECT {}, {}, 'bootstrap', 'DONE', 1, 0 FROM n",
            Self::numbers(self.many.runs),
            self.uid(4, "n.i"),
            self.run_uid(),
        )
    }

    /// One of each phase that was worked on.
    fn attempts(&self) -> String {
        let (uid, job) = (
            self.uid(1, "n.i * 1000 + t.idx"),
            self.uid(2, "n.i * 1000 + t.idx"),
        );
        format!(
            "INSERT INTO attempt (uid, run_uid, phase, number, state, job_uid, fence, worker_uid, tip, tree, commit_sha, cause, detail, gate, tests, \
             tokens_reserved, tokens_used, offered_at, leased_at, finished_at, artifacts, facts) {}\
             SELECT {uid}, {}, t.idx, 1, CASE WHEN {state} = 'COMPLETE' THEN 'SUCCEEDED' ELSE 'FAILED' END, {job}, t.idx + 1, \
             '0198aaaa-0000-7000-8000-000000000001', '{sha}', '{sha}', CASE WHEN {state} = 'COMPLETE' THEN '{sha}' ELSE '' END, \
             CASE WHEN {state} = 'COMPLETE' THEN NULL ELSE 'GATE_FAILED' END, '', 'passed; cargo test', 12, 0, {TOKENS}, {at}, {at}, {at}, '[]', '{{}}' \
             FROM n CROSS JOIN phase t WHERE t.run_uid = {} AND n.i % 100 < 99",
            Self::numbers(self.many.runs),
            self.run_uid(),
            self.template,
            state = Self::phase_state("t.idx"),
            sha = "0123456789abcdef0123456789abcdef01234567",
            at = Self::created(),
        )
    }

    /// Tokens of each fourth phase, by turns of a builder and an auditor.
    fn usage(&self) -> String {
        format!(
            "INSERT INTO usage_event (run_uid, number, phase, attempt_uid, provider, model, role, purpose, total, provenance, at) {}\
             SELECT {}, t.idx, t.idx, {}, 'anthropic', 'large', CASE WHEN t.idx % 8 = 0 THEN 'auditor' ELSE 'builder' END, '', {TOKENS}, 'reported', {} \
             FROM n CROSS JOIN phase t WHERE t.run_uid = {} AND n.i % 100 < 99 AND t.idx % 4 = 0",
            Self::numbers(self.many.runs),
            self.run_uid(),
            self.uid(1, "n.i * 1000 + t.idx"),
            Self::created(),
            self.template,
        )
    }

    /// As many as phases, like the run's first.
    fn events(&self) -> String {
        let phases = self.phases();
        format!(
            "INSERT INTO event (sequence, uid, run_uid, run_sequence, kind, at, body) {}\
             SELECT e.sequence + n.i * {phases} + t.idx + 1, {}, {}, t.idx + 1, f.kind, {}, f.body FROM n CROSS JOIN phase t \
             CROSS JOIN (SELECT MAX(sequence) AS sequence FROM event) e \
             CROSS JOIN (SELECT kind, body FROM event ORDER BY sequence LIMIT 1) f WHERE t.run_uid = {}",
            Self::numbers(self.many.runs),
            self.uid(3, "n.i * 1000 + t.idx"),
            self.run_uid(),
            Self::created(),
            self.template,
        )
    }

    /// Of the first phase of each fifth run.
    fn issues(&self) -> String {
        format!(
            "INSERT INTO issue (run_uid, phase, issue_key, severity, effective_severity, source, category, task_category, complexity, description, \
             evidence, paths, occurrences, first_seen_at, last_seen_at) {}\
             SELECT {}, 0, 'key-' || (n.i % {}), 'minor', 'minor', 'probe', 'docs', '', '', 'a page is missing', '[]', '[]', 1, {at}, {at} \
             FROM n WHERE {ISSUES}",
            Self::numbers(self.many.runs),
            self.run_uid(),
            self.many.backlog.max(1),
            at = Self::created(),
        )
    }

    /// Of every age; each third was cleaned.
    fn backlog(&self) -> String {
        format!(
            "INSERT INTO backlog (project, issue_key, category, severity, age_in_runs, age_in_tiers, seen_in_tiers, occurrences, paths, \
             first_seen_run, first_seen_at, last_seen_run, last_seen_at, cleaned_run, cleaned_at) {}\
             SELECT p.name, 'key-' || n.i, 'docs', CASE WHEN n.i % 7 = 0 THEN 'major' ELSE 'minor' END, n.i % 40, n.i % 4, '[]', n.i % 40, '[\"src/lib.rs\"]', \
             'many-0', {at}, 'many-1', {at}, CASE WHEN n.i % 3 = 0 THEN 'many-2' END, CASE WHEN n.i % 3 = 0 THEN {at} END \
             FROM n CROSS JOIN project p WHERE p.name LIKE 'many-%'",
            Self::numbers(self.many.backlog),
            at = Self::created(),
        )
    }
}
