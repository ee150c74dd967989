//! `cargo xtask vm`: jobs for which a container's or a developer's own kernel will not do.
//!
//! A job is a shell script in `xtask/vm/jobs`. It runs as root in a machine of its own that qemu emulates: Debian's cloud
//! kernel, and a file system in memory that holds what the head of the script asks for and nothing else. No network
//! device, no disk, no root on the host, no hardware virtualisation.

mod initrd;
mod job;
mod kernel;
mod machine;

use std::io::{Error, Result};
use std::path::Path;

use job::Job;
use kernel::Kernel;

use crate::packages;
use crate::steps::{Steps, cargo};
use crate::test::REAL_PEERS;

/// Everything that is made or fetched. May be deleted at any time; the kernel is then fetched anew.
const CACHE: &str = "target/vm";

/// Whether there can be a machine here at all.
pub(crate) fn check_host() -> Result<()> {
    if cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    Err(Error::other("the machine is an x86_64 one and has programs of the host in it: the host has to be one too"))
}

/// Runs the jobs with these names, or all.
pub(crate) fn run(steps: &mut Steps, names: &[&str]) -> Result<()> {
    check_host()?;
    let jobs = Job::choose(Path::new("xtask/vm/jobs"), names)?;
    packages::ensure_for_vm(steps)?;
    let kernel = Kernel::ensure(steps, Path::new(CACHE))?;
    // As `test` builds them: what it has compiled is not compiled again with other features of the dependencies.
    steps.run("build programs for the jobs", &mut cargo(&format!("{REAL_PEERS} --no-run")))?;
    for job in &jobs {
        let folder = Path::new(CACHE).join(&job.name);
        let initrd = steps.measure(&format!("{job}: initrd"), || initrd::make(job, &kernel, &folder))?;
        steps.measure(&format!("{job}: run"), || machine::run(job, &kernel, &initrd, &folder))?;
    }
    Ok(())
}
