//! The packages: consecutive releases without dependencies, and the check of each.
//!
//! Invariant: a check needs no network and nothing but the package's own language.

use serde_json::{Value, json};

/// Where a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// By cargo.
    Crates,
    /// By pip.
    PyPi,
    /// By npm.
    Npm,
}

/// A package and its releases, oldest first: the first is the base, each further one a phase.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) source: Source,
    pub(crate) name: &'static str,
    pub(crate) releases: &'static [&'static str],
    /// Files that decide a gate or that its step runs, and binary ones: they change only where the scope names them.
    pub(crate) literal: &'static [&'static str],
    gate: fn(&str) -> Value,
}

impl Package {
    /// The folder in the repository.
    pub(crate) fn folder(&self) -> &'static str {
        self.name
    }

    /// The gate's step for a release.
    pub(crate) fn gate(&self, release: &str) -> Value {
        let mut step = (self.gate)(release);
        step["dir"] = self.folder().into();
        step
    }
}

/// Every package.
pub(crate) const ALL: &[Package] = &[
    Package {
        source: Source::Crates,
        name: "version_check",
        releases: &[
            "0.1.0", "0.1.1", "0.1.2", "0.1.3", "0.1.4", "0.1.5", "0.9.0", "0.9.1", "0.9.2",
            "0.9.3", "0.9.4", "0.9.5",
        ],
        literal: &["Cargo.toml", ".travis.yml", ".github/workflows/ci.yml"],
        gate: cargo,
    },
    Package {
        source: Source::PyPi,
        name: "idna",
        releases: &[
            "3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11",
        ],
        literal: &[],
        gate: python,
    },
    Package {
        source: Source::Npm,
        name: "semver",
        releases: &[
            "5.3.0", "5.4.0", "5.4.1", "5.5.0", "5.5.1", "5.6.0", "5.7.0", "5.7.1", "6.0.0",
            "6.1.0", "6.1.1", "6.1.2", "6.1.3", "6.2.0", "6.3.0",
        ],
        literal: &["package.json", "semver.js", "bin/.semver.js.swp"],
        gate: node,
    },
];

/// The crate's own tests. The later releases have unit tests enough; their documentation's take seconds each.
fn cargo(release: &str) -> Value {
    let run = if release.starts_with("0.9") {
        "cargo test --offline --lib"
    } else {
        "cargo test --offline"
    };
    json!({ "run": run, "kind": "test" })
}

/// Wheels hold no tests: every module compiles, the version is the release's, and names survive a round trip.
fn python(release: &str) -> Value {
    let script = format!(
        "import idna, idna.codec; \
         assert idna.__version__ == '{release}', idna.__version__; \
         assert idna.encode('b\\u00fccher.example') == b'xn--bcher-kva.example'; \
         assert idna.decode('xn--fiqs8s') == '\\u4e2d\\u56fd'; \
         assert idna.encode('Fa\\u00df.example', uts46=True, transitional=False) == b'xn--fa-hia.example'"
    );
    json!({ "run": format!("python3 -m compileall -q idna && python3 -c \"{script}\""), "kind": "check" })
}

/// The published archives hold no tests: it loads, knows its version, orders, bumps and matches.
fn node(release: &str) -> Value {
    let script = format!(
        "const s = require('./semver.js'), a = require('assert'); \
         a.strictEqual(require('./package.json').version, '{release}'); \
         a.deepStrictEqual(['1.10.0', '1.2.0', '1.2.0-rc.1'].sort(s.compare), ['1.2.0-rc.1', '1.2.0', '1.10.0']); \
         a.strictEqual(s.inc('1.2.3', 'minor'), '1.3.0'); \
         a.ok(s.satisfies('1.4.9', '^1.2.0 || >=3')); a.ok(!s.satisfies('2.0.0', '~1.4')); \
         a.strictEqual(s.maxSatisfying(['1.2.3', '1.9.0', '2.0.0'], '1.x'), '1.9.0')"
    );
    json!({ "run": format!("node -e \"{script}\""), "kind": "check" })
}
