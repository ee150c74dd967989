//! What the lines of one part of a file say, before it is judged.

use std::{path::PathBuf, time::Duration};

use secure_connector::{LocalAddr, SniName, TlsVersion, VerifiedName};
use tracing::level_filters::LevelFilter;

use super::{
    StunnelForeground, StunnelTarget,
    values::{Order, Unfit},
};

/// A value and the line it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

pub(super) fn value<T>(at: Option<At<T>>) -> Option<T> {
    at.map(|at| at.value)
}

/// What came of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// It has no effect; this happens instead.
    NoEffect(&'static str),
}

/// Options of the whole program.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) fips: Option<At<bool>>,
    pub(super) foreground: Option<At<StunnelForeground>>,
    pub(super) pid: Option<At<Option<PathBuf>>>,
    pub(super) output: Option<At<PathBuf>>,
    pub(super) debug: Option<At<LevelFilter>>,
}

/// Options of a service; above the first section, defaults for all services.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    pub(super) client: Option<At<bool>>,
    pub(super) accept: Option<At<LocalAddr>>,
    pub(super) connect: Vec<At<StunnelTarget>>,
    pub(super) failover: Option<At<Order>>,
    pub(super) retry: Option<At<bool>>,
    pub(super) verify: Option<At<u32>>,
    pub(super) verify_chain: Option<At<bool>>,
    pub(super) verify_peer: Option<At<bool>>,
    pub(super) ca_file: Option<At<PathBuf>>,
    pub(super) names: Vec<At<VerifiedName>>,
    pub(super) ocsp_aia: Option<At<bool>>,
    pub(super) sni: Option<At<Option<SniName>>>,
    pub(super) cert: Option<At<PathBuf>>,
    pub(super) key: Option<At<PathBuf>>,
    pub(super) version: Option<At<Option<TlsVersion>>>,
    pub(super) version_min: Option<At<Option<TlsVersion>>>,
    pub(super) version_max: Option<At<Option<TlsVersion>>>,
    pub(super) timeout_connect: Option<At<Duration>>,
    pub(super) timeout_busy: Option<At<Duration>>,
    pub(super) timeout_idle: Option<At<Duration>>,
    pub(super) timeout_close: Option<At<Duration>>,
    pub(super) mount_timeout: Option<At<Duration>>,
    pub(super) reuse_address: Option<At<bool>>,
    pub(super) device: Option<At<String>>,
    pub(super) keepalive: Option<At<bool>>,
}

impl At<&str> {
    pub(super) fn read<T>(self, read: fn(&str) -> Result<T, Unfit>) -> Result<At<T>, Unfit> {
        Ok(At { line: self.line, value: read(self.value)? })
    }

    pub(super) fn set<T>(self, slot: &mut Option<At<T>>, read: fn(&str) -> Result<T, Unfit>) -> Result<Outcome, Unfit> {
        *slot = Some(self.read(read)?);
        Ok(Outcome::Taken)
    }

    pub(super) fn add<T>(self, slot: &mut Vec<At<T>>, read: fn(&str) -> Result<T, Unfit>) -> Result<Outcome, Unfit> {
        slot.push(self.read(read)?);
        Ok(Outcome::Taken)
    }

    /// For a value that asks for nothing beyond what is so in any case.
    pub(super) fn check<T>(self, read: fn(&str) -> Result<T, Unfit>) -> Result<Outcome, Unfit> {
        self.read(read).map(|_| Outcome::Taken)
    }

    /// For a value that asks for what does not happen.
    pub(super) fn no_effect<T>(
        self,
        read: fn(&str) -> Result<T, Unfit>,
        instead: &'static str,
    ) -> Result<Outcome, Unfit> {
        self.read(read).map(|_| Outcome::NoEffect(instead))
    }

    /// For an option that asks for what does not happen if it is `on`.
    pub(super) fn no_effect_if(
        self,
        on: bool,
        read: fn(&str) -> Result<bool, Unfit>,
        instead: &'static str,
    ) -> Result<Outcome, Unfit> {
        self.read(read).map(|at| if at.value == on { Outcome::NoEffect(instead) } else { Outcome::Taken })
    }
}
