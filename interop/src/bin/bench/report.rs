//! The figures as Markdown.

use std::fmt;
use std::io::Result;

use crate::handshakes::{self, BARE};
use crate::placement::Placement;
use crate::server::Sessions;
use crate::tunnels::{self, HAPROXY, OURS, STUNNEL};
use crate::{Effort, Version, machine};

pub(crate) fn heading(effort: Effort) -> Result<()> {
    println!("# Benchmarks\n");
    println!("Printed by `cargo xtask bench`; nothing here is written by hand.\n");
    for line in machine::describe()? {
        println!("- {line}");
    }
    println!(
        "\nClient, tunnel and server share this machine over loopback: compare the rows of a table with each other. A \
         figure is the median of {} runs, with the lowest and the highest; the runs of the rows are interleaved. Where \
         lowest and highest are far apart the machine was busy, or the scheduler's choice of CPU matters. The server \
         has a P-256 certificate, which is verified; no client has one.\n\n\
         A tunnel takes plain TCP in and opens TLS to the server: down is decrypting, up is encrypting, {} MiB on one \
         connection, the handshake left out. CPU time is that of the tunnel's process alone. The row without TLS is \
         no lower bound where all CPUs are in use: its kernel time varies with the CPUs that the processes are on.",
        effort.runs,
        effort.bytes >> 20
    );
    Ok(())
}

pub(crate) fn tunnels(version: Version, placement: Placement, rows: &[tunnels::Row]) {
    println!("\n## Tunnels, {version}, {placement}\n");
    println!("| tunnel | down CPU-s/GiB | up CPU-s/GiB | down MiB/s | up MiB/s | peak memory MiB |");
    println!("|---|---:|---:|---:|---:|---:|");
    let figures = |row: &tunnels::Row| {
        [
            Figure::of(row.down.iter().map(|t| t.cpu_seconds_per_gib), 2),
            Figure::of(row.up.iter().map(|t| t.cpu_seconds_per_gib), 2),
            Figure::of(row.down.iter().map(|t| t.mib_per_second), 0),
            Figure::of(row.up.iter().map(|t| t.mib_per_second), 0),
        ]
    };
    for row in rows {
        println!("| {} | {} | {:.1} |", row.tunnel, figures(row).map(|f| f.to_string()).join(" | "), row.peak_memory);
    }
    for baseline in rows.iter().filter(|row| [STUNNEL, HAPROXY].contains(&row.tunnel)) {
        for row in rows.iter().filter(|row| row.tunnel == OURS) {
            let ratios: Vec<String> = figures(row)
                .iter()
                .zip(figures(baseline))
                .map(|(ours, theirs)| format!("{:.2}", ours.median / theirs.median))
                .collect();
            let memory = row.peak_memory / baseline.peak_memory;
            println!("| {} ÷ {} | {} | {memory:.2} |", row.tunnel, baseline.tunnel, ratios.join(" | "));
        }
    }
}

pub(crate) fn handshakes(placement: Placement, rows: &[handshakes::Row]) {
    println!("\n## Handshakes, {placement}\n");
    println!(
        "One after the other, each on a new TCP connection, with one byte received. CPU time is that of the client's \
         process alone, TCP included.\n"
    );
    println!("| client | version | handshake | key exchange | client CPU µs | CPU ÷ {BARE} | per second |");
    println!("|---|---|---|---|---:|---:|---:|");
    for row in rows {
        let cpu = Figure::of(row.cpu_micros.iter().copied(), 0);
        let bare = rows
            .iter()
            .find(|other| (other.client, other.version, other.sessions) == (BARE, row.version, row.sessions))
            .map_or(f64::NAN, |bare| Figure::of(bare.cpu_micros.iter().copied(), 0).median);
        println!(
            "| {} | {} | {} | {} | {cpu} | {:.2} | {} |",
            row.client,
            if row.version == Version::Tls13 { "TLS 1.3" } else { "TLS 1.2" },
            if row.sessions == Sessions::Resumed { "resumed" } else { "full" },
            row.key_exchange,
            cpu.median / bare,
            Figure::of(row.per_second.iter().copied(), 0),
        );
    }
}

/// The runs of one case.
struct Figure {
    median: f64,
    lowest: f64,
    highest: f64,
    decimals: usize,
}

impl Figure {
    fn of(runs: impl Iterator<Item = f64>, decimals: usize) -> Self {
        let mut runs: Vec<f64> = runs.collect();
        runs.sort_by(f64::total_cmp);
        let at = |index: usize| runs.get(index).copied().unwrap_or(f64::NAN);
        Self { median: at(runs.len() / 2), lowest: at(0), highest: at(runs.len().saturating_sub(1)), decimals }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, lowest, highest, decimals } = self;
        write!(f, "{median:.decimals$} ({lowest:.decimals$}–{highest:.decimals$})")
    }
}
