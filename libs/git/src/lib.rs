//! The one place that builds git commands.
//!
//! Every command carries a complete environment and a configuration of our own: no system or global files, no hooks,
//! filters, fsmonitor, signing or background maintenance. The target repository is never a working directory of
//! ours: what we need is fetched into our own bare clone, trees are built there on private indexes, and the only
//! thing written back is one branch, by compare-and-swap. This crate starts no process: it hands each command to a
//! [`Runner`].

mod apply;
mod call;
mod changes;
mod clean;
mod clone;
mod commit;
mod error;
mod fetch;
mod index;
mod merge;
pub mod message;
mod objects;
mod oid;
mod overlay;
mod promote;
mod push;
mod push_local;
mod ref_writes;
mod refs;
mod resolve;
mod runner;
mod snapshot;
mod target;
mod target_refs;
mod throwaway;
pub mod trailers;
mod version;
mod workfolder;

pub use apply::ApplyError;
pub use call::{Git, Settings};
pub use changes::{Change, ChangeKind, DiffText, TreeDiff};
pub use clone::{ObjectFormat, OwnClone};
pub use commit::{CommitInfo, CommitSpec, Identity, LogLine};
pub use error::{GitError, utf8_path};
pub use fetch::FetchRefs;
pub use index::PooledIndex;
pub use merge::MergeResult;
pub use objects::{Blob, BlobSize, TreeEntry, is_binary};
pub use oid::{Mode, Oid};
pub use overlay::Replaced;
pub use promote::{Landed, Prepared, Promotion, Strategy};
pub use push::PushOutcome;
pub use push_local::Offer;
pub use refs::{PrivateRef, branch_ref, check_branch_name};
pub use resolve::BaseError;
pub use runner::{GitCommand, GitOutput, Runner, RunnerError};
pub use snapshot::{Snapshot, SnapshotError};
pub use target::{Target, TargetKind};
pub use throwaway::{Throwaway, ThrowawayObjects};
pub use version::{FLOOR, Version, check_version};
pub use workfolder::WorkFolder;
