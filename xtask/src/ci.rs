//! `cargo xtask ci`.

use std::env;
use std::io::{Error, Result};
use std::path::PathBuf;

use crate::steps::{Steps, cargo};
use crate::test;

/// Every feature but `fips`, whose module needs CMake and Go to build.
const ALL_FEATURES: &str = "secure-connector/metrics,secure-connector/ring,secure-connector/serde,\
    secure-connector/tunnel,efs-tls/ring,efs-tls/serde,efs-tls/aws-config,efs-tls/aws-sdk-efs,redis-tls/ring,\
    redis-tls/serde,redis-tls/aws-config,redis-tls/tunnel,redis-tls/redis,redis-tls/bb8,redis-tls/deadpool,\
    redis-tls/rustis,svid-tls/ring,svid-tls/serde,svid-tls/workload-api,interop/real-peers,examples/real-peers";

/// Each published crate alone: the whole workspace at once would hide a feature that a crate forgot to ask for.
const ALONE: &[&str] = &[
    "--package secure-connector --all-targets",
    "--package secure-connector --lib --no-default-features",
    "--package secure-connector --lib --no-default-features --features ring",
    "--package efs-tls --all-targets",
    // No TLS provider: identifiers, names and options.
    "--package efs-tls --lib --no-default-features",
    "--package efs-tls --lib --no-default-features --features ring",
    "--package redis-tls --all-targets",
    // No TLS provider: endpoints, credentials and IAM tokens.
    "--package redis-tls --lib --no-default-features",
    "--package redis-tls --lib --no-default-features --features ring",
    "--package svid-tls --all-targets",
    "--package svid-tls --lib --no-default-features --features ring",
    "--package luks-keys --all-targets",
    "--package luks-keys --lib --no-default-features",
    "--package secure-connector-testkit --all-targets",
];

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    steps.run("formatting", &mut cargo("fmt --all --check"))?;
    for crates in [&format!("--workspace --all-targets --features {ALL_FEATURES}") as &str].iter().chain(ALONE) {
        steps.run(&format!("clippy {crates}"), &mut cargo(&format!("clippy --quiet {crates} -- -D warnings")))?;
    }
    steps.run(
        "rustdoc",
        cargo(&format!("doc --workspace --no-deps --features {ALL_FEATURES}")).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    deny(steps)?;
    test::run(steps)
}

/// Installs cargo-deny under `target` where it is missing: about three minutes. The advisories are left out: their
/// database is fetched from the network, and what it says changes by the day.
fn deny(steps: &mut Steps) -> Result<()> {
    const INSTALL: &str = "install cargo-deny@0.20.2 --locked --root target/tools";
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([PathBuf::from("target/tools/bin")].into_iter().chain(env::split_paths(&path)))
        .map_err(Error::other)?;
    let present = |args: &str| cargo(args).env("PATH", &path).output().is_ok_and(|output| output.status.success());
    if !present("deny --version") && steps.run("install cargo-deny", &mut cargo(INSTALL)).is_err() {
        steps.not_run("cargo-deny", &format!("it could not be installed by: cargo {INSTALL}"));
        return Ok(());
    }
    steps.run("cargo-deny", cargo("deny --all-features check bans licenses sources").env("PATH", &path))
}
