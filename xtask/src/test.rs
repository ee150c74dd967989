//! `cargo xtask test`.

use std::env;
use std::fs;
use std::io::{Error, Result};

use crate::packages;
use crate::steps::{Steps, cargo};

/// Package, and its part of an outside vectors folder.
const CONFORMANCE: &[(&str, &str)] = &[("secure-connector", "tls"), ("efs-tls", "efs")];

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    packages::ensure(steps)?;
    steps.run("tests", &mut cargo("test --workspace"))?;
    steps.run("tests against real peers", &mut cargo("test --package interop --features real-peers"))?;
    let Some(root) = env::var_os("CONFORMANCE_VECTORS_ROOT") else {
        return Ok(());
    };
    // Absolute, because a test runs in the folder of its package.
    let root = fs::canonicalize(&root)
        .map_err(|error| Error::new(error.kind(), format!("CONFORMANCE_VECTORS_ROOT {}: {error}", root.display())))?;
    for (package, vectors) in CONFORMANCE {
        steps.run(
            &format!("outside vectors: {vectors}"),
            cargo("test --test conformance --package").arg(package).env("CONFORMANCE_VECTORS", root.join(vectors)),
        )?;
    }
    Ok(())
}
