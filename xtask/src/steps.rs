//! Programs run one after the other, and how long each took.

use std::env;
use std::fmt;
use std::io::{Error, Result};
use std::process::Command;
use std::time::{Duration, Instant};

/// What has run so far; displayed as a table.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    rows: Vec<(String, Duration, &'static str)>,
}

impl Steps {
    /// Runs a program with our standard streams.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) -> Result<()> {
        println!("\n==> {name}: {command:?}");
        let start = Instant::now();
        let status = command.status();
        let ok = status.as_ref().is_ok_and(std::process::ExitStatus::success);
        self.rows.push((name.to_owned(), start.elapsed(), if ok { "ok" } else { "FAILED" }));
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Error::other(format!("step {name:?} ended with {status}"))),
            Err(error) => Err(Error::new(error.kind(), format!("step {name:?} could not start: {error}"))),
        }
    }

    /// Records that a step was left out; `why` says what to do about it.
    pub(crate) fn not_run(&mut self, name: &str, why: &str) {
        println!("\n==> {name} was NOT RUN: {why}");
        self.rows.push((name.to_owned(), Duration::ZERO, "NOT RUN"));
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let total: Duration = self.rows.iter().map(|(_, took, _)| *took).sum();
        writeln!(f)?;
        for (name, took, outcome) in &self.rows {
            writeln!(f, "{:7.1} s  {outcome:7}  {name}", took.as_secs_f64())?;
        }
        writeln!(f, "{:7.1} s  in all", total.as_secs_f64())
    }
}

/// The cargo that runs us, so that every step uses the same toolchain.
pub(crate) fn cargo(args: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(args.split_ascii_whitespace());
    cargo
}
