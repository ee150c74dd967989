//! What the settings mean, and whether they may stand.

use std::time::Duration;

use secure_connector::{LocalAddr, Sni, SniName, Stage, Timeouts, TlsVersion, VerifiedName};
use tracing::level_filters::LevelFilter;

use super::{
    StunnelConfig, StunnelError, StunnelService, StunnelTarget, StunnelWarning, StunnelWeakness,
    service::{ClientCertificate, Peer},
    settings::{At, Program, Service, value},
};

pub(super) struct Judge<'a> {
    permitted: &'a [StunnelWeakness],
    pub(super) warnings: Vec<StunnelWarning>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(permitted: &'a [StunnelWeakness]) -> Self {
        Self { permitted, warnings: Vec::new() }
    }

    pub(super) fn program(
        mut self,
        program: Program,
        services: Vec<StunnelService>,
    ) -> Result<StunnelConfig, StunnelError> {
        if services.is_empty() {
            return Err(StunnelError::NoService);
        }
        if let Some(At { line, value: true }) = program.fips
            && !cfg!(feature = "fips")
        {
            self.weak(line, StunnelWeakness::NotFips)?;
        }
        self.warnings.sort_by_key(StunnelWarning::line);
        Ok(StunnelConfig {
            services,
            warnings: self.warnings,
            foreground: value(program.foreground).unwrap_or_default(),
            pid_file: value(program.pid).flatten(),
            output: value(program.output),
            log_level: value(program.debug).unwrap_or(LevelFilter::INFO),
        })
    }

    pub(super) fn service(
        &mut self,
        name: &str,
        line: usize,
        settings: Service,
    ) -> Result<StunnelService, StunnelError> {
        let service = || name.to_owned();
        let missing = |option, remedy| StunnelError::Missing { line, service: service(), option, remedy };
        match settings.client {
            Some(At { value: true, .. }) => {}
            other => {
                let line = other.map_or(line, |at| at.line);
                return Err(StunnelError::NotAClient { line, service: service() });
            }
        }
        let accept = settings.accept.clone().ok_or_else(|| missing("accept", "`accept = 127.0.0.1:PORT`"))?;
        if settings.connect.is_empty() {
            return Err(missing("connect", "`connect = HOST:PORT`"));
        }
        let connect = targets(&settings.connect)?;
        let remote_clients = matches!(accept.value, LocalAddr::Tcp(at) if !at.ip().to_canonical().is_loopback());
        if remote_clients {
            self.weak(accept.line, StunnelWeakness::RemoteClients)?;
        }
        let peer = self.peer(name, line, &settings)?;
        if let Some(At { line, value: true }) = settings.ocsp_aia {
            self.weak(line, StunnelWeakness::RevocationNotChecked)?;
        }
        let sni = match &settings.sni {
            Some(At { value: Some(name), .. }) => Sni::Name(name.clone()),
            Some(At { value: None, .. }) => Sni::Off,
            None => default_sni(&connect, &settings.names),
        };
        let certificate = match (settings.cert.clone(), settings.key.clone()) {
            (None, None) => None,
            (None, Some(_)) => return Err(missing("cert", "the file of the certificate that `key` belongs to")),
            (Some(At { line, value: cert }), key) => {
                // stunnel looks for the key beside the certificate when it is given no other file.
                let key = key.map_or_else(|| cert.clone(), |at| at.value);
                Some(ClientCertificate { line, cert, key })
            }
        };
        Ok(StunnelService {
            name: service(),
            versions: self.versions(&settings)?,
            timeouts: timeouts(&settings, connect.len()),
            idle_timeout: value(settings.timeout_idle).unwrap_or(TIMEOUT_IDLE),
            close_timeout: self.close_timeout(settings.timeout_close),
            accept,
            remote_clients,
            device: value(settings.device),
            reuse_address: value(settings.reuse_address).unwrap_or(true),
            connect,
            order: value(settings.failover).unwrap_or_default(),
            retry: value(settings.retry).unwrap_or(false),
            keepalive: value(settings.keepalive).unwrap_or(true),
            peer,
            sni,
            certificate,
        })
    }

    fn peer(&mut self, name: &str, section: usize, settings: &Service) -> Result<Peer, StunnelError> {
        // Level 1 verifies the certificate "if present", and a server's always is.
        let level = value(settings.verify).unwrap_or(0);
        let chain = self.asked("verifyChain", settings.verify_chain, settings.verify, (1..=3).contains(&level))?;
        let pinned = self.asked("verifyPeer", settings.verify_peer, settings.verify, level >= 3)?;
        if !chain && !pinned {
            let given = [settings.verify.map(|at| at.line), settings.verify_chain.map(|at| at.line)];
            let line = given.into_iter().flatten().next().unwrap_or(section);
            self.weak(line, StunnelWeakness::PeerNotVerified)?;
            return Ok(Peer::Anybody);
        }
        let Some(ca_file) = settings.ca_file.clone() else {
            return Err(StunnelError::Missing {
                line: section,
                service: name.to_owned(),
                option: "CAfile",
                remedy: "the file of the CA certificates, such as `CAfile = /etc/amazon/efs/efs-utils.crt`",
            });
        };
        if !chain {
            if let Some(At { line, .. }) = settings.names.first() {
                let instead = "the peer is known by its key, which is that of a certificate in `CAfile`";
                self.warn(StunnelWarning::NotApplied { line: *line, option: "checkHost", instead });
            }
            return Ok(Peer::Key { ca_file });
        }
        // A pinned key is an identity by itself.
        if settings.names.is_empty() && !pinned {
            self.weak(ca_file.line, StunnelWeakness::NameNotChecked)?;
        }
        let names = settings.names.iter().map(|at| at.value.clone()).collect();
        Ok(Peer::Chain { ca_file, names, pinned })
    }

    /// Whether a check is asked for by its own option or by `verify`.
    fn asked(
        &self,
        option: &'static str,
        own: Option<At<bool>>,
        verify: Option<At<u32>>,
        by_level: bool,
    ) -> Result<bool, StunnelError> {
        match (own, verify) {
            (Some(At { line, value: false }), Some(verify)) if by_level => {
                Err(StunnelError::Contradiction { line, option, other: "verify", other_line: verify.line })
            }
            (own, _) => Ok(by_level || own.is_some_and(|at| at.value)),
        }
    }

    fn versions(&mut self, settings: &Service) -> Result<(TlsVersion, TlsVersion), StunnelError> {
        let only = value(settings.version).flatten();
        let (min, max) = (settings.version_min, settings.version_max);
        for (option, bound) in [("sslVersionMin", min), ("sslVersionMax", max)] {
            if let (Some(bound), Some(version)) = (bound, settings.version) {
                let (line, other_line) = (bound.line, version.line);
                return Err(StunnelError::Contradiction { line, option, other: "sslVersion", other_line });
            }
        }
        let lowest = only.or_else(|| value(min).flatten()).unwrap_or(TlsVersion::Tls12);
        let highest = only.or_else(|| value(max).flatten()).unwrap_or(TlsVersion::Tls13);
        if let (Some(min), Some(max)) = (min, max)
            && lowest > highest
        {
            let (line, other_line) = (max.line, min.line);
            let (option, other) = ("sslVersionMax", "sslVersionMin");
            return Err(StunnelError::Contradiction { line, option, other, other_line });
        }
        if let Some(At { line, .. }) = settings.version.or(max)
            && highest == TlsVersion::Tls12
        {
            self.warn(StunnelWarning::NoTls13 { line });
        }
        Ok((lowest, highest))
    }

    fn close_timeout(&mut self, given: Option<At<Duration>>) -> Duration {
        if let Some(At { line, value: Duration::ZERO }) = given {
            self.warn(StunnelWarning::AnswersCutOff { line });
        }
        value(given).unwrap_or(TIMEOUT_CLOSE)
    }

    fn weak(&mut self, line: usize, weakness: StunnelWeakness) -> Result<(), StunnelError> {
        if !self.permitted.contains(&weakness) {
            return Err(StunnelError::Refused { line, weakness });
        }
        self.warn(StunnelWarning::Permitted { line, weakness });
        Ok(())
    }

    /// A line above the sections counts for each of them and is worth one warning.
    fn warn(&mut self, warning: StunnelWarning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

fn targets(connect: &[At<StunnelTarget>]) -> Result<Vec<StunnelTarget>, StunnelError> {
    let unix = connect.iter().find(|at| matches!(at.value, StunnelTarget::Unix(_)));
    match unix {
        Some(unix) if connect.len() > 1 => Err(StunnelError::Value {
            line: unix.line,
            option: "connect",
            found: unix.value.to_string(),
            expected: "HOST:PORT; a Unix socket can only be the one target of a service",
        }),
        _ => Ok(connect.iter().map(|at| at.value.clone()).collect()),
    }
}

fn default_sni(connect: &[StunnelTarget], names: &[At<VerifiedName>]) -> Sni {
    let dialled = match connect.first() {
        Some(StunnelTarget::Tcp { host, .. }) => host.parse().ok(),
        _ => None,
    };
    let verified = || names.iter().find_map(|name| name.value.to_string().parse::<SniName>().ok());
    dialled.or_else(verified).map_or(Sni::Off, Sni::Name)
}

fn timeouts(settings: &Service, targets: usize) -> Timeouts {
    let defaults = Timeouts::default();
    let dns = defaults.of(Stage::Dns).saturating_mul(u32::try_from(targets).unwrap_or(u32::MAX));
    let tcp = value(settings.timeout_connect).unwrap_or(TIMEOUT_CONNECT);
    let tls = value(settings.timeout_busy).unwrap_or(TIMEOUT_BUSY);
    let mut total = defaults.of(Stage::Identity) + dns + tcp + tls;
    if let Some(limit) = value(settings.mount_timeout) {
        const SECOND: Duration = Duration::from_secs(1);
        total = total.min(limit.saturating_sub(SECOND).max(SECOND));
    }
    defaults.with(Stage::Dns, dns).with(Stage::Tcp, tcp).with(Stage::Tls, tls).with(Stage::Total, total)
}

// The defaults of stunnel 5.68.
const TIMEOUT_BUSY: Duration = Duration::from_secs(300);
const TIMEOUT_CLOSE: Duration = Duration::from_secs(60);
const TIMEOUT_CONNECT: Duration = Duration::from_secs(10);
const TIMEOUT_IDLE: Duration = Duration::from_secs(12 * 3600);
