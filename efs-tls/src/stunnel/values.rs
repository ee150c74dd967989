//! The values that options take.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use secure_connector::{LocalAddr, NameError, SniName, TlsVersion, VerifiedName};
use tracing::level_filters::LevelFilter;

use super::StunnelTarget;
use crate::{FileSystemId, Region};

/// Why a value was not taken. The option's row in the table says what it takes.
#[derive(Debug)]
pub(super) enum Unfit {
    Value,
    Name(NameError),
}

/// Whether to stay in the foreground, and what to write to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StunnelForeground {
    /// In the foreground; the log goes to standard error too.
    Yes,
    /// In the foreground; the log does not go to standard error.
    Quiet,
    /// In the background: stunnel's default.
    #[default]
    No,
}

/// The order in which several targets are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    AsWritten,
    RoundRobin,
}

/// What a `socket` line sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SocketOption {
    ReuseAddress(bool),
    BindToDevice(String),
    Keepalive(bool),
    /// What is so in any case, or cannot make a difference.
    AlreadySo,
}

pub(super) fn yes_no(text: &str) -> Result<bool, Unfit> {
    choose(text, &[("yes", true), ("no", false)])
}

/// efs-proxy reads more spellings than stunnel.
pub(super) fn boolean(text: &str) -> Result<bool, Unfit> {
    choose(text, &[("yes", true), ("true", true), ("1", true), ("no", false), ("false", false), ("0", false)])
}

pub(super) fn number(text: &str) -> Result<u32, Unfit> {
    text.parse().map_err(|_| Unfit::Value)
}

pub(super) fn seconds(text: &str) -> Result<Duration, Unfit> {
    number(text).map(|seconds| Duration::from_secs(seconds.into()))
}

/// Zero would end every connection at once.
pub(super) fn some_seconds(text: &str) -> Result<Duration, Unfit> {
    seconds(text).and_then(|limit| if limit.is_zero() { Err(Unfit::Value) } else { Ok(limit) })
}

pub(super) fn path(text: &str) -> Result<PathBuf, Unfit> {
    optional_path(text)?.ok_or(Unfit::Value)
}

pub(super) fn optional_path(text: &str) -> Result<Option<PathBuf>, Unfit> {
    Ok(Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty()))
}

pub(super) fn anything(_: &str) -> Result<(), Unfit> {
    Ok(())
}

pub(super) fn file_system(text: &str) -> Result<FileSystemId, Unfit> {
    text.parse().map_err(|_| Unfit::Value)
}

pub(super) fn region(text: &str) -> Result<Region, Unfit> {
    text.parse().map_err(|_| Unfit::Value)
}

pub(super) fn foreground(text: &str) -> Result<StunnelForeground, Unfit> {
    use StunnelForeground::{No, Quiet, Yes};
    choose(text, &[("yes", Yes), ("quiet", Quiet), ("no", No)])
}

pub(super) fn order(text: &str) -> Result<Order, Unfit> {
    choose(text, &[("prio", Order::AsWritten), ("rr", Order::RoundRobin)])
}

/// `[FACILITY.]LEVEL`, the level a name or number of syslog (RFC 5424 section 6.2.1).
pub(super) fn log_level(text: &str) -> Result<LevelFilter, Unfit> {
    let level = text.rsplit_once('.').map_or(text, |(_, level)| level);
    let names = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    let named = names.iter().position(|name| level.eq_ignore_ascii_case(name));
    match named.or_else(|| level.parse().ok()) {
        Some(0..=3) => Ok(LevelFilter::ERROR),
        Some(4) => Ok(LevelFilter::WARN),
        Some(5 | 6) => Ok(LevelFilter::INFO),
        Some(7) => Ok(LevelFilter::DEBUG),
        _ => Err(Unfit::Value),
    }
}

pub(super) fn verify_level(text: &str) -> Result<u32, Unfit> {
    number(text).and_then(|level| if level <= 4 { Ok(level) } else { Err(Unfit::Value) })
}

/// `None` for `all`.
pub(super) fn version(text: &str) -> Result<Option<TlsVersion>, Unfit> {
    choose(text, &[("all", None), ("TLSv1.2", Some(TlsVersion::Tls12)), ("TLSv1.3", Some(TlsVersion::Tls13))])
}

/// Names of OpenSSL that switch off what is never spoken here.
pub(super) fn openssl_option(text: &str) -> Result<(), Unfit> {
    choose(text, &["NO_SSLv2", "NO_SSLv3", "NO_TLSv1", "NO_TLSv1.1", "NO_TLSv1_1"].map(|name| (name, ())))
}

pub(super) fn verified_name(text: &str) -> Result<VerifiedName, Unfit> {
    text.parse().map_err(Unfit::Name)
}

pub(super) fn verified_address(text: &str) -> Result<VerifiedName, Unfit> {
    text.parse::<IpAddr>().map(VerifiedName::from).map_err(|_| Unfit::Value)
}

/// `None` to send nothing.
pub(super) fn server_name(text: &str) -> Result<Option<SniName>, Unfit> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(Unfit::Name) }
}

pub(super) fn socket_option(text: &str) -> Result<SocketOption, Unfit> {
    let (name, value) = text.split_once('=').ok_or(Unfit::Value)?;
    match name.trim() {
        "a:SO_REUSEADDR" => boolean(value.trim()).map(SocketOption::ReuseAddress),
        "a:SO_BINDTODEVICE" if !value.trim().is_empty() => Ok(SocketOption::BindToDevice(value.trim().to_owned())),
        "r:SO_KEEPALIVE" => boolean(value.trim()).map(SocketOption::Keepalive),
        // It acts when a socket is bound, and this one is the outcome of `accept`.
        "l:SO_REUSEADDR" => boolean(value.trim()).map(|_| SocketOption::AlreadySo),
        "l:TCP_NODELAY" | "r:TCP_NODELAY" if boolean(value.trim())? => Ok(SocketOption::AlreadySo),
        _ => Err(Unfit::Value),
    }
}

/// Without a host, all IPv4 addresses of this host, as in stunnel. No look-up: what a name resolves to may change.
pub(super) fn listen_address(text: &str) -> Result<LocalAddr, Unfit> {
    if text.starts_with('/') {
        return Ok(LocalAddr::Unix(text.into()));
    }
    let (host, port) = host_and_port(text)?;
    let ip = match host {
        None => Ipv4Addr::UNSPECIFIED.into(),
        Some("localhost") => Ipv4Addr::LOCALHOST.into(),
        Some(host) => host.parse::<IpAddr>().map_err(|_| Unfit::Value)?,
    };
    Ok(LocalAddr::Tcp(SocketAddr::new(ip, port)))
}

/// Without a host, this one, as in stunnel.
pub(super) fn target(text: &str) -> Result<StunnelTarget, Unfit> {
    if text.starts_with('/') {
        return Ok(StunnelTarget::Unix(text.into()));
    }
    let (host, port) = host_and_port(text)?;
    let host = host.unwrap_or("localhost");
    if port == 0 || (host.contains(':') && host.parse::<IpAddr>().is_err()) {
        return Err(Unfit::Value);
    }
    verified_name(host)?;
    Ok(StunnelTarget::Tcp { host: host.to_owned(), port })
}

/// `PORT` or `HOST:PORT`, the host up to the last colon: the mount helper writes IPv6 addresses without brackets.
fn host_and_port(text: &str) -> Result<(Option<&str>, u16), Unfit> {
    let (host, port) = text.rsplit_once(':').map_or((None, text), |(host, port)| (Some(host), port));
    let host = host.map(|host| host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host));
    Ok((host, port.parse().map_err(|_| Unfit::Value)?))
}

fn choose<T: Clone>(text: &str, of: &[(&str, T)]) -> Result<T, Unfit> {
    let found = of.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.clone()).ok_or(Unfit::Value)
}
