//! Proof over the whole workspace. The tests are in `it/`, one binary a folder; this library is empty on purpose.
