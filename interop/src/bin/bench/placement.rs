//! Which CPUs the measured processes may use.

use std::fmt;
use std::fs;
use std::io::{Error, Result};
use std::process::Command;

use interop::run;

/// Where everything runs: server, tunnel and load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// CPU time repeats within some per cent. Spread over CPUs it does not: what the kernel needs to copy a GiB then
    /// varies more than what TLS adds to it, by the CPUs that the scheduler happens to choose.
    OneCpu,
    /// As the scheduler likes: what throughput users see.
    AllCpus,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneCpu => "everything on one CPU",
            Self::AllCpus => "on all CPUs",
        })
    }
}

impl Placement {
    /// Runs `measure`; the processes that it starts inherit our CPUs.
    pub(crate) fn hold<T>(self, measure: impl FnOnce() -> Result<T>) -> Result<T> {
        if self == Self::AllCpus {
            return measure();
        }
        let status = fs::read_to_string("/proc/self/status")?;
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .ok_or_else(|| Error::other("/proc/self/status lacks Cpus_allowed_list"))?
            .trim();
        let first = allowed.split(['-', ',']).next().unwrap_or(allowed);
        allow(first)?;
        let result = measure();
        allow(allowed)?;
        result
    }
}

fn allow(cpus: &str) -> Result<()> {
    run(Command::new("taskset").args(["-acp", cpus]).arg(std::process::id().to_string())).map(drop)
}
