//! The fake EFS mount target against certificates that the EFS mount helper made, and against copies with one thing wrong.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod experiment;
mod forged;
mod mount_target;
mod policy;
mod policy_documents;
mod rules;
mod vectors;
