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
        self.measure(name, || match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Error::other(format!("step {name:?} ended with {status}"))),
            Err(error) => Err(Error::new(error.kind(), format!("step {name:?} could not start: {error}"))),
        })
    }

    /// Does something of our own.
    pub(crate) fn measure<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let outcome = step();
        self.rows.push((name.to_owned(), start.elapsed(), if outcome.is_ok() { "ok" } else { "FAILED" }));
        outcome
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

/// Runs a program to its end and returns its standard output; the error has its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| Error::new(error.kind(), format!("{command:?}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::other(format!("{command:?} ended with {}: {}", output.status, said.trim())))
}
