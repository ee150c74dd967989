//! The fake EFS mount target against certificates that the EFS mount helper made, and against copies with one thing wrong.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod forged;
mod mount_target;
mod rules;
mod vectors;
