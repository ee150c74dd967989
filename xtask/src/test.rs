//! `cargo xtask test`.

use std::env;
use std::fs;
use std::io::{Error, Result};
use std::path::PathBuf;

use crate::steps::{Steps, cargo};
use crate::{packages, vm};

/// Package, and its part of an outside vectors folder.
const CONFORMANCE: &[(&str, &str)] = &[
    ("secure-connector", "tls"),
    ("efs-tls", "efs"),
    ("luks-keys", "luks"),
    ("redis-tls", "redis"),
    ("svid-tls", "svid"),
];

pub(crate) const REAL_PEERS: &str = "test --no-fail-fast --tests --package interop --package examples --features interop/real-peers,\
     examples/real-peers";

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    let outside = outside_vectors()?;
    packages::ensure(steps)?;
    steps.run("tests", &mut cargo("test --workspace --no-fail-fast"))?;
    steps.run("tests against real peers", &mut cargo(REAL_PEERS))?;
    match vm::check_host() {
        Ok(()) => vm::run(steps, &[])?,
        Err(error) => steps.not_run("vm", &error.to_string()),
    }
    let Some(root) = outside else {
        return Ok(());
    };
    for (package, vectors) in CONFORMANCE {
        steps.run(
            &format!("outside vectors: {vectors}"),
            cargo("test --test conformance --package").arg(package).env("CONFORMANCE_VECTORS", root.join(vectors)),
        )?;
    }
    Ok(())
}

/// Absolute, because a test runs in the folder of its package. A folder that is named but missing is an error.
fn outside_vectors() -> Result<Option<PathBuf>> {
    let Some(root) = env::var_os("CONFORMANCE_VECTORS_ROOT") else {
        return Ok(None);
    };
    let error = |e: Error| Error::new(e.kind(), format!("CONFORMANCE_VECTORS_ROOT {}: {e}", root.display()));
    fs::canonicalize(&root).map(Some).map_err(error)
}
