//! `cargo xtask bench`.

use std::fs;
use std::io::{Error, Result};
use std::process::Stdio;

use crate::packages;
use crate::steps::{Steps, cargo};

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    packages::ensure(steps)?;
    steps.run("build", &mut cargo("build --release --package interop --features real-peers --bin bench"))?;
    // Progress goes to standard error, the report to standard output.
    let output = cargo("run --release --quiet --package interop --features real-peers --bin bench")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(Error::other(format!("the benchmark ended with {}", output.status)));
    }
    print!("{}", String::from_utf8_lossy(&output.stdout));
    fs::write("docs/benchmarks.md", output.stdout)
}
