//! What the kernel says about a process, and this program started in another role.

use std::env;
use std::fs;
use std::io::{Error, Result};
use std::process::Command;

use interop::Daemon;

/// Linux tells user space CPU time in hundredths of a second, whatever the kernel's own clock (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time used so far, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field, the name in parentheses, may hold blanks. utime and stime are the 14th and 15th field.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> =
        after_name.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match ticks.as_slice() {
        [user, system] => Ok((user + system) / TICKS_PER_SECOND),
        _ => Err(Error::other(format!("/proc/{pid}/stat is not as proc(5) describes it: {stat}"))),
    }
}

/// The most memory that was resident at any time so far, in MiB.
pub(crate) fn peak_memory(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok())
        .map(|kib| kib / 1024.0)
        .ok_or_else(|| Error::other(format!("/proc/{pid}/status lacks VmHWM")))
}

/// This program in another role.
pub(crate) fn role(name: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(name);
    Ok(command)
}

/// This program in the role of a server; the address to listen on is its first argument.
pub(crate) fn start_role(name: &str, args: &[&str]) -> Result<Daemon> {
    Daemon::start(|_, addr| {
        let mut command = role(name)?;
        command.arg(addr.to_string()).args(args);
        Ok(command)
    })
}
