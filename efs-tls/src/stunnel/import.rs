//! From the text to services that can be started.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use tracing::level_filters::LevelFilter;

use super::{
    StunnelError, StunnelForeground, StunnelService, StunnelWarning, StunnelWeakness,
    judge::Judge,
    lines::{self, Line},
    options::{self, EFS_PROXY, PROGRAM, SERVICE},
    settings::{Program, Service},
};

/// A configuration file of stunnel, or of efs-proxy, which reads the same format: what its TLS clients ask for, as
/// connectors and tunnels.
///
/// Every line is taken over or refused; what has another effect than in stunnel is in [`warnings`](Self::warnings).
/// A configuration that protects less than it seems to, such as one without `checkHost`, is refused, see
/// [`StunnelImport`].
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use efs_tls::StunnelConfig;
///
/// let config: StunnelConfig = "
///     [efs]
///     client = yes
///     accept = 127.0.0.1:20049
///     connect = fs-0123456789abcdef0.efs.us-east-1.amazonaws.com:2049
///     verify = 2
///     CAfile = /etc/amazon/efs/efs-utils.crt
///     checkHost = fs-0123456789abcdef0.efs.us-east-1.amazonaws.com
/// ".parse()?;
/// for warning in config.warnings() {
///     eprintln!("{warning}");
/// }
/// for service in config.services() {
///     let tunnel = service.tunnel().await?.start().await?;
///     println!("[{}] listens on {}", service.name(), tunnel.local_addr());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # What differs from stunnel
/// - `verify = 1` is `verify = 2`: a server always shows a certificate.
/// - With several addresses, attempts overlap (RFC 8305), so `TIMEOUTconnect` is the limit for all of them together.
/// - `delay`: names are always resolved anew for each connection, and `failover = rr` works with that.
/// - `retry = yes` holds a local connection for up to 30 s while the target is away; stunnel applies it to `exec` only.
///   Otherwise the local connection is reset at once, as in stunnel.
/// - When the target of `connect` is an address and there is no `sni`, the first name of `checkHost` is sent, as in
///   efs-proxy; stunnel sends the address, which RFC 6066 section 3 forbids.
/// - `retry_nfs_mount_command_timeout_sec` less one second limits the whole connection attempt, as in efs-proxy.
/// - The certificate and key are read again when they change; stunnel needs a signal.
#[derive(Clone, Debug)]
pub struct StunnelConfig {
    pub(super) services: Vec<StunnelService>,
    pub(super) warnings: Vec<StunnelWarning>,
    pub(super) foreground: StunnelForeground,
    pub(super) pid_file: Option<PathBuf>,
    pub(super) output: Option<PathBuf>,
    pub(super) log_level: LevelFilter,
}

/// Reads a configuration with weaknesses that the caller permits, each by a method of its own. Those that the
/// configuration has are in its [`warnings`](StunnelConfig::warnings).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct StunnelImport {
    permitted: Vec<StunnelWeakness>,
}

impl StunnelConfig {
    /// The services, in order. There is at least one.
    pub fn services(&self) -> &[StunnelService] {
        &self.services
    }

    /// What a caller should know, by line. Meant to be printed.
    pub fn warnings(&self) -> &[StunnelWarning] {
        &self.warnings
    }

    /// `foreground`. Whether to detach is the program's business.
    pub fn foreground(&self) -> StunnelForeground {
        self.foreground
    }

    /// `pid`: where the program is to write its process id.
    pub fn pid_file(&self) -> Option<&Path> {
        self.pid_file.as_deref()
    }

    /// `output`: the file to append the log to.
    pub fn output(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// `debug`: the level of the log, by default that of `notice`.
    pub fn log_level(&self) -> LevelFilter {
        self.log_level
    }

    /// The supported options, one a line with what may be written, as `stunnel -help` prints them.
    ///
    /// The EFS mount helper reads that list to find out what it may write. `OCSPaia` is left out, so that it reports
    /// that revocation cannot be checked instead of starting a tunnel that refuses the option.
    pub fn help() -> String {
        let program = PROGRAM.iter().map(|known| (known.name, known.values));
        let service = SERVICE.iter().map(|known| (known.name, known.values)).filter(|(name, _)| *name != "OCSPaia");
        let line = |(name, values)| format!("{name:<22} = {values}\n");
        let (program, service): (String, String) = (program.map(line).collect(), service.map(line).collect());
        format!("Global options:\n{program}\nService-level options:\n{service}")
    }
}

impl FromStr for StunnelConfig {
    type Err = StunnelError;

    /// Reads a configuration that has none of the [`StunnelWeakness`]es.
    fn from_str(text: &str) -> Result<Self, StunnelError> {
        StunnelImport::new().parse(text)
    }
}

impl StunnelImport {
    /// Permits nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Permits services that do not verify the peer: `verify = 0`, or none of `verify`, `verifyChain` and `verifyPeer`.
    pub fn danger_accept_any_certificate(self) -> Self {
        self.permit(StunnelWeakness::PeerNotVerified)
    }

    /// Permits services that verify a chain and no name: no `checkHost` and no `checkIP`.
    pub fn danger_accept_any_name(self) -> Self {
        self.permit(StunnelWeakness::NameNotChecked)
    }

    /// Permits `OCSPaia = yes`, though no OCSP responder is asked.
    pub fn danger_skip_revocation(self) -> Self {
        self.permit(StunnelWeakness::RevocationNotChecked)
    }

    /// Permits `fips = yes` in a build without the feature `fips`.
    pub fn danger_without_fips(self) -> Self {
        self.permit(StunnelWeakness::NotFips)
    }

    /// Permits `accept` on addresses that are not loopback. Other hosts' data travels to them unencrypted.
    pub fn danger_accept_remote_clients(self) -> Self {
        self.permit(StunnelWeakness::RemoteClients)
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// [`StunnelError`], for the first thing to be corrected.
    pub fn parse(&self, text: &str) -> Result<StunnelConfig, StunnelError> {
        let sections = lines::read(text)?;
        let (mut program, mut defaults) = (Program::default(), Service::default());
        let mut judge = Judge::new(&self.permitted);
        let mut seen = Vec::new();
        for line in &sections.head {
            match options::find(PROGRAM, line.option) {
                Some(known) => known.take(line, &mut program, &mut seen, &mut judge.warnings)?,
                None => take_service_option(line, &mut defaults, &mut seen, &mut judge.warnings)?,
            }
        }
        let mut services = Vec::new();
        for section in &sections.services {
            let (mut service, mut seen) = (defaults.clone(), Vec::new());
            for line in &section.lines {
                take_service_option(line, &mut service, &mut seen, &mut judge.warnings)?;
            }
            services.push(judge.service(section.name, section.line, service)?);
        }
        judge.program(program, services)
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`StunnelError::Read`], or as [`parse`](Self::parse).
    pub fn read(&self, path: impl AsRef<Path>) -> Result<StunnelConfig, StunnelError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| StunnelError::Read { path: path.to_owned(), source })?;
        self.parse(&text)
    }

    fn permit(mut self, weakness: StunnelWeakness) -> Self {
        self.permitted.push(weakness);
        self
    }
}

fn take_service_option(
    line: &Line<'_>,
    service: &mut Service,
    seen: &mut Vec<(&'static str, usize)>,
    warnings: &mut Vec<StunnelWarning>,
) -> Result<(), StunnelError> {
    let number = line.number;
    if let Some(known) = options::find(SERVICE, line.option).or_else(|| options::find(EFS_PROXY, line.option)) {
        return known.take(line, service, seen, warnings);
    }
    if let Some(known) = options::find(PROGRAM, line.option) {
        return Err(StunnelError::Misplaced { line: number, option: known.name });
    }
    if let Some((option, remedy)) = options::unsupported(line.option) {
        return Err(StunnelError::Unsupported { line: number, option, remedy });
    }
    let option = line.option.to_owned();
    Err(StunnelError::UnknownOption { line: number, near: options::near(&option), option })
}
