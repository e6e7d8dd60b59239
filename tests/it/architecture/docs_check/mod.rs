//! Documentation is checked like code: what it names exists, its links resolve, its blocks run.
//!
//! A comment before a fenced block says what becomes of it:
//!
//! | comment | the block |
//! |---|---|
//! | `<!-- docs-check: run -->` | is run by bash, after the page's earlier ones, in one empty folder |
//! | `<!-- docs-check: file NAME -->` | is written to NAME in that folder |
//! | `<!-- docs-check: ci -->` | is a list of commands that `.ci/run` runs |
//! | `<!-- docs-check: plan -->` | is a plan that is read without a fault |
//!
//! Every shell block of the README has one of the first three.

mod blocks;
mod cli;
mod links;
mod names;
mod page;
mod workflows;
