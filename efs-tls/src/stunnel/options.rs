//! Every option that is known: what it takes, and where its value goes.

mod unsupported;

use super::{
    StunnelError, StunnelWarning,
    lines::Line,
    settings::{At, Outcome, Program, Service},
    values::{self, SocketOption, Unfit},
};

pub(super) use self::unsupported::unsupported;

/// An option of a part of a file that makes an `S`.
pub(super) struct Known<S> {
    pub(super) name: &'static str,
    /// What may be written: completes "write …".
    pub(super) values: &'static str,
    times: Times,
    set: fn(&mut S, At<&str>) -> Result<Outcome, Unfit>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Any,
}

const YES_NO: &str = "yes or no";
const SECONDS: &str = "a number of seconds";
const SOME_SECONDS: &str = "a number of seconds, at least 1";
const FILE: &str = "the path of a file";
const NUMBER: &str = "a number";
const VERSION: &str = "TLSv1.2, TLSv1.3 or all (older versions are broken, RFC 8996, and not spoken)";
const SOCKET: &str = "a:SO_BINDTODEVICE=DEVICE, a:SO_REUSEADDR=yes|no, l:SO_REUSEADDR=yes|no, l:TCP_NODELAY=yes, \
                      r:TCP_NODELAY=yes or r:SO_KEEPALIVE=yes|no";

/// Options of the whole program.
pub(super) const PROGRAM: &[Known<Program>] = &[
    once("debug", "a syslog level, 0 to 7 or emerg to debug", |p, at| at.set(&mut p.debug, values::log_level)),
    once("fips", YES_NO, |p, at| at.set(&mut p.fips, values::yes_no)),
    once("foreground", "yes, quiet or no", |p, at| at.set(&mut p.foreground, values::foreground)),
    once("output", FILE, |p, at| at.set(&mut p.output, values::path)),
    once("pid", FILE, |p, at| at.set(&mut p.pid, values::optional_path)),
    once("syslog", YES_NO, |_, at| {
        at.no_effect_if(true, values::yes_no, "the log goes to standard error and to `output`")
    }),
];

/// Options of a service.
pub(super) const SERVICE: &[Known<Service>] = &[
    once("accept", "PORT, IP:PORT, localhost:PORT or the path of a Unix socket", |s, at| {
        at.set(&mut s.accept, values::listen_address)
    }),
    once("CAfile", FILE, |s, at| at.set(&mut s.ca_file, values::path)),
    once("cert", FILE, |s, at| at.set(&mut s.cert, values::path)),
    any("checkHost", "a host name", |s, at| at.add(&mut s.names, values::verified_name)),
    any("checkIP", "an IP address", |s, at| at.add(&mut s.names, values::verified_address)),
    once("client", YES_NO, |s, at| at.set(&mut s.client, values::yes_no)),
    any("connect", "PORT, HOST:PORT or the path of a Unix socket", |s, at| at.add(&mut s.connect, values::target)),
    once("delay", YES_NO, |_, at| {
        at.no_effect_if(false, values::yes_no, "names are resolved anew for every connection")
    }),
    once("failover", "prio or rr", |s, at| at.set(&mut s.failover, values::order)),
    once("key", FILE, |s, at| at.set(&mut s.key, values::path)),
    once("libwrap", YES_NO, |_, at| {
        at.no_effect_if(true, values::yes_no, "hosts.allow and hosts.deny are not read; a Unix socket admits one user")
    }),
    once("OCSPaia", YES_NO, |s, at| at.set(&mut s.ocsp_aia, values::yes_no)),
    any("options", "NO_SSLv2, NO_SSLv3, NO_TLSv1 or NO_TLSv1.1, or use `sslVersion`", |_, at| {
        at.check(values::openssl_option)
    }),
    once("renegotiation", YES_NO, |_, at| {
        at.no_effect_if(true, values::yes_no, "TLS 1.3 has no renegotiation, and in TLS 1.2 it is refused")
    }),
    // A server shows a certificate in any case.
    once("requireCert", YES_NO, |_, at| at.check(values::yes_no)),
    once("retry", YES_NO, |s, at| at.set(&mut s.retry, values::yes_no)),
    once("sni", "a host name, or nothing to send none", |s, at| at.set(&mut s.sni, values::server_name)),
    any("socket", SOCKET, socket),
    once("sslVersion", VERSION, |s, at| at.set(&mut s.version, values::version)),
    once("sslVersionMax", VERSION, |s, at| at.set(&mut s.version_max, values::version)),
    once("sslVersionMin", VERSION, |s, at| at.set(&mut s.version_min, values::version)),
    once("TIMEOUTbusy", SOME_SECONDS, |s, at| at.set(&mut s.timeout_busy, values::some_seconds)),
    once("TIMEOUTclose", SECONDS, |s, at| at.set(&mut s.timeout_close, values::seconds)),
    once("TIMEOUTconnect", SOME_SECONDS, |s, at| at.set(&mut s.timeout_connect, values::some_seconds)),
    once("TIMEOUTidle", SOME_SECONDS, |s, at| at.set(&mut s.timeout_idle, values::some_seconds)),
    once("verify", "a level from 0 to 4", |s, at| at.set(&mut s.verify, values::verify_level)),
    once("verifyChain", YES_NO, |s, at| at.set(&mut s.verify_chain, values::yes_no)),
    once("verifyPeer", YES_NO, |s, at| at.set(&mut s.verify_peer, values::yes_no)),
];

/// What the EFS mount helper adds to a service for efs-proxy.
pub(super) const EFS_PROXY: &[Known<Service>] = &[
    once("retry_nfs_mount_command_timeout_sec", SOME_SECONDS, |s, at| {
        at.set(&mut s.mount_timeout, values::some_seconds)
    }),
    // Facts; they ask for nothing.
    once("efs_utils_version", "a version", |_, at| at.check(values::anything)),
    once("fs_id", "the id of a file system, such as fs-0123456789abcdef0", |_, at| at.check(values::file_system)),
    once("region", "a region, such as us-east-1", |_, at| at.check(values::region)),
    once("cloud_watch_logs", YES_NO, |_, at| at.no_effect_if(true, values::boolean, CLOUD_WATCH)),
    once("cloud_watch_metrics", YES_NO, |_, at| at.no_effect_if(true, values::boolean, CLOUD_WATCH)),
    // For the two above.
    once("cloud_watch_logs_retention_days", NUMBER, |_, at| at.check(values::number)),
    once("log_group_name", "a name", |_, at| at.check(values::anything)),
    once("proxy_logging_file_count", NUMBER, |_, at| at.no_effect(values::number, PROXY_LOG)),
    once("proxy_logging_level", "a level", |_, at| at.no_effect(values::anything, PROXY_LOG)),
    once("proxy_logging_max_bytes", NUMBER, |_, at| at.no_effect(values::number, PROXY_LOG)),
    once("aws_creds_uri", "a path", |_, at| at.no_effect(values::anything, CREDENTIALS)),
    once("jwt_path", FILE, |_, at| at.no_effect(values::anything, CREDENTIALS)),
    once("profile", "a name", |_, at| at.no_effect(values::anything, CREDENTIALS)),
    once("role_arn", "an ARN", |_, at| at.no_effect(values::anything, CREDENTIALS)),
    once("read_bypass_denylist_size", NUMBER, |_, at| at.no_effect(values::number, READ_BYPASS)),
    once("read_bypass_denylist_ttl_seconds", NUMBER, |_, at| at.no_effect(values::number, READ_BYPASS)),
    once("read_bypass_max_in_flight_s3_bytes", NUMBER, |_, at| at.no_effect(values::number, READ_BYPASS)),
    once("readahead_cache_enabled", YES_NO, |_, at| at.no_effect_if(true, values::boolean, READ_BYPASS)),
    once("readahead_cache_eviction_interval_ms", NUMBER, |_, at| at.no_effect(values::number, READ_BYPASS)),
    once("readahead_cache_init_memory_size_mb", NUMBER, |_, at| at.no_effect(values::number, READ_BYPASS)),
    once("readahead_cache_max_memory_size_mb", NUMBER, |_, at| at.no_effect(values::number, READ_BYPASS)),
    once("readahead_cache_target_utilization_percent", NUMBER, |_, at| at.no_effect(values::number, READ_BYPASS)),
    once("readahead_init_window_size_bytes", NUMBER, |_, at| at.no_effect(values::number, READ_BYPASS)),
    once("readahead_max_window_size_bytes", NUMBER, |_, at| at.no_effect(values::number, READ_BYPASS)),
    once("s3_read_chunk_size_bytes", NUMBER, |_, at| at.no_effect(values::number, READ_BYPASS)),
];
const CLOUD_WATCH: &str = "nothing is sent to CloudWatch";
const CREDENTIALS: &str = "the certificate in `cert` says who we are; S3 and CloudWatch are not spoken to";
const PROXY_LOG: &str = "`debug` sets the level of the log, and it is not rotated";
const READ_BYPASS: &str = "all data is read through the file system, none from S3";

impl<S> Known<S> {
    /// Takes over `line`. `seen` has the options of the same part and their lines.
    pub(super) fn take(
        &self,
        line: &Line<'_>,
        into: &mut S,
        seen: &mut Vec<(&'static str, usize)>,
        warnings: &mut Vec<StunnelWarning>,
    ) -> Result<(), StunnelError> {
        let (number, option) = (line.number, self.name);
        if self.times == Times::Once {
            if let Some((_, first)) = seen.iter().find(|(name, _)| *name == option) {
                return Err(StunnelError::Repeated { line: number, option, first: *first });
            }
            seen.push((option, number));
        }
        match (self.set)(into, At { line: number, value: line.value }) {
            Ok(Outcome::Taken) => Ok(()),
            Ok(Outcome::NoEffect(instead)) => {
                warnings.push(StunnelWarning::NotApplied { line: number, option, instead });
                Ok(())
            }
            Err(Unfit::Name(source)) => Err(StunnelError::Name { line: number, option, source }),
            Err(Unfit::Value) => {
                let found = line.value.to_owned();
                Err(StunnelError::Value { line: number, option, found, expected: self.values })
            }
        }
    }
}

/// Letter case does not matter, as in stunnel.
pub(super) fn find<S>(table: &'static [Known<S>], option: &str) -> Option<&'static Known<S>> {
    table.iter().find(|known| known.name.eq_ignore_ascii_case(option))
}

/// Every supported option of stunnel.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PROGRAM.iter().map(|known| known.name).chain(SERVICE.iter().map(|known| known.name))
}

/// The option that is spelled most like `option`, if it is close.
pub(super) fn near(option: &str) -> Option<&'static str> {
    let option = option.to_ascii_lowercase();
    let names = names().chain(EFS_PROXY.iter().map(|known| known.name));
    let distance = |name: &&str| edits(&option, &name.to_ascii_lowercase());
    names.min_by_key(distance).filter(|name| distance(name) * 3 <= option.len())
}

/// The Levenshtein distance: how many characters to insert, remove or replace.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (index, a) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(to.chars()) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn socket(service: &mut Service, at: At<&str>) -> Result<Outcome, Unfit> {
    let At { line, value } = at.read(values::socket_option)?;
    match value {
        SocketOption::ReuseAddress(value) => service.reuse_address = Some(At { line, value }),
        SocketOption::BindToDevice(value) => service.device = Some(At { line, value }),
        SocketOption::Keepalive(value) => service.keepalive = Some(At { line, value }),
        SocketOption::AlreadySo => {}
    }
    Ok(Outcome::Taken)
}

const fn once<S>(
    name: &'static str,
    values: &'static str,
    set: fn(&mut S, At<&str>) -> Result<Outcome, Unfit>,
) -> Known<S> {
    Known { name, values, times: Times::Once, set }
}

const fn any<S>(
    name: &'static str,
    values: &'static str,
    set: fn(&mut S, At<&str>) -> Result<Outcome, Unfit>,
) -> Known<S> {
    Known { name, values, times: Times::Any, set }
}
